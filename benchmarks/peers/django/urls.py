"""The routes."""

from django.urls import path
from shop import views

urlpatterns = [
    path("api/orders", views.OrderList.as_view()),
    path("api/orders/summary", views.Summary.as_view()),
    path("api/orders/<int:pk>", views.OrderDetail.as_view()),
    path("api/orders/<int:pk>/cancel", views.CancelOrder.as_view()),
    path("api/dev/seed", views.Seed.as_view()),
]
