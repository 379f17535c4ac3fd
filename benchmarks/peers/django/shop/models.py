"""The tables, which the service's migrations made."""

from django.db import models
from django.db.models.functions import Lower, Now
from rules import ACTIONS

# So that `email__lower__contains` finds the index on lower(email).
models.TextField.register_lookup(Lower)


class Customer(models.Model):
    email = models.TextField()
    name = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        managed = False
        db_table = "customers"


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    reference = models.TextField(null=True)
    status = models.TextField()
    total_cents = models.BigIntegerField()
    item_count = models.IntegerField()
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        managed = False
        db_table = "orders"

    @property
    def allowed_actions(self):
        return ACTIONS[self.status]


class OrderItem(models.Model):
    order = models.ForeignKey(Order, models.PROTECT, related_name="items")
    sku = models.TextField()
    quantity = models.IntegerField()
    unit_price_cents = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "order_items"
        ordering = ("id",)


class OrderEvent(models.Model):
    order_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    sequence = models.IntegerField()
    type = models.TextField()
    request_id = models.TextField()
    changes = models.JSONField()

    class Meta:
        managed = False
        db_table = "events"
