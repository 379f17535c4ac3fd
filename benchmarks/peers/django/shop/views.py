"""The service in Django and DRF, with the repairs that the replaced system needed: no query per row, one aggregate query, and
one transaction with bulk inserts per write."""

import uuid

from django.db import transaction
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Coalesce, Now
from django.http import Http404
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.pagination import BasePagination
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView
from rules import CANCELLABLE, batches, customer_row, decode_cursor, encode_cursor, order_rows

from shop.models import Customer, Order, OrderEvent, OrderItem
from shop.serializers import ListSerializer, NewOrderSerializer, OrderSerializer, SummarySerializer

WHOLE_ORDERS = Order.objects.select_related("customer").prefetch_related("items")
CUSTOMERS_PER_BATCH = 500


class Conflict(APIException):
    status_code = 409


class NewestFirst(BasePagination):
    """Keyset pages over ids; the summary's subclass has two keys."""

    def paginate_queryset(self, queryset, request, view=None):
        self.request, self.limit = request, int(request.query_params.get("limit", 50))
        rows = list(self.after(queryset, request.query_params.get("cursor"))[: self.limit + 1])
        self.page, self.more = rows[: self.limit], len(rows) > self.limit
        return self.page

    def get_paginated_response(self, data):
        following = None
        if self.more:
            cursor = encode_cursor(*self.keys(self.page[-1]))
            following = replace_query_param(self.request.build_absolute_uri(), "cursor", cursor)
        return Response({"results": data, "next": following})

    def after(self, queryset, cursor):
        return queryset.filter(id__lt=decode_cursor(cursor)[0]) if cursor else queryset

    def keys(self, order):
        return [order.id]


class BiggestSpenderFirst(NewestFirst):
    def after(self, queryset, cursor):
        if not cursor:
            return queryset
        spent, customer_id = decode_cursor(cursor)
        return queryset.filter(Q(total_spent_cents__lt=spent) | Q(total_spent_cents=spent, id__gt=customer_id))

    def keys(self, customer):
        return [int(customer.total_spent_cents), customer.id]


class OrderList(ListAPIView):
    serializer_class = OrderSerializer
    pagination_class = NewestFirst

    def get_queryset(self):
        filters = ListSerializer(data=self.request.query_params)
        filters.is_valid(raise_exception=True)
        wanted = dict(filters.validated_data)
        if "email" in wanted:
            wanted["customer__email__lower__contains"] = wanted.pop("email").lower()
        return WHOLE_ORDERS.filter(**wanted).order_by("-id")

    def post(self, request):
        new = NewOrderSerializer(data=request.data)
        new.is_valid(raise_exception=True)
        with transaction.atomic():
            order = create_order(request, **new.validated_data)
        return Response(OrderSerializer(order).data, status=201, headers={"Location": f"/api/orders/{order.id}/"})


class OrderDetail(RetrieveAPIView):
    queryset = WHOLE_ORDERS
    serializer_class = OrderSerializer


class CancelOrder(APIView):
    @transaction.atomic
    def post(self, request, pk):
        order = WHOLE_ORDERS.select_for_update(of=("self",), no_key=True).filter(pk=pk).first()
        if order is None:
            raise Http404
        if order.status != "cancelled":
            if order.status not in CANCELLABLE:
                raise Conflict(f"The order is {order.status}.")
            last = OrderEvent.objects.filter(order_id=order.id).aggregate(Max("sequence"))["sequence__max"]
            record(request, order, "order.cancelled", {"status": [order.status, "cancelled"]}, sequence=1 + (last or 0))
            # Now() comes back with the UPDATE.
            order.status, order.updated_at = "cancelled", Now()
            order.save(update_fields=["status", "updated_at"])
        return Response(OrderSerializer(order).data)


class Summary(ListAPIView):
    serializer_class = SummarySerializer
    pagination_class = BiggestSpenderFirst
    queryset = Customer.objects.annotate(
        order_count=Count("orders"),
        item_count=Coalesce(Sum("orders__item_count"), 0),
        total_spent_cents=Coalesce(Sum("orders__total_cents", filter=~Q(orders__status="cancelled")), 0),
    ).order_by("-total_spent_cents", "id")


class Seed(APIView):
    @transaction.atomic
    def post(self, request):
        run = str(uuid.uuid4())
        orders_each, items_each = request.data["orders_per_customer"], request.data["items_per_order"]
        for ordinals in batches(request.data["customers"], CUSTOMERS_PER_BATCH):
            named = (customer_row(run, ordinal) for ordinal in ordinals)
            customers = Customer.objects.bulk_create([Customer(email=email, name=name) for email, name in named])
            rows = list(order_rows([customer.id for customer in customers], orders_each, items_each))
            orders = Order.objects.bulk_create(
                [
                    Order(customer_id=customer_id, status=status, total_cents=total, item_count=len(items))
                    for customer_id, status, total, items in rows
                ]
            )
            OrderItem.objects.bulk_create(
                [
                    OrderItem(order=order, sku=sku, quantity=quantity, unit_price_cents=price)
                    for order, (*_, items) in zip(orders, rows, strict=True)
                    for sku, quantity, price in items
                ]
            )
        return Response({"customers": request.data["customers"]}, status=201)


def create_order(request, customer_id, items, **named):
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise ValidationError({"customer_id": f"There is no customer {customer_id}."})
    total = sum(item["quantity"] * item["unit_price_cents"] for item in items)
    order = Order.objects.create(customer=customer, status="pending", total_cents=total, item_count=len(items), **named)
    made = OrderItem.objects.bulk_create([OrderItem(order=order, **item) for item in items])
    record(request, order, "order.created", {"status": [None, "pending"], "total_cents": [None, total]}, sequence=1)
    # As prefetch_related would have left it: the items need not be read again.
    order._prefetched_objects_cache = {"items": made}
    return order


def record(request, order, what, changes, sequence):
    request_id = request.META["apig_wsgi.full_event"]["requestContext"]["requestId"]
    OrderEvent.objects.create(
        order_id=order.id,
        customer_id=order.customer_id,
        sequence=sequence,
        type=what,
        request_id=request_id,
        changes=changes,
    )
