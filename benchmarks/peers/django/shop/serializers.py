"""What goes in and out, as DRF checks and writes it."""

from rest_framework import serializers

from shop.models import Customer, Order, OrderItem


class CustomerSerializer(serializers.ModelSerializer):
    class Meta:
        model = Customer
        fields = ("id", "email", "name")


class OrderItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = OrderItem
        fields = ("id", "sku", "quantity", "unit_price_cents")


class OrderSerializer(serializers.ModelSerializer):
    customer = CustomerSerializer()
    items = OrderItemSerializer(many=True)

    class Meta:
        model = Order
        fields = (
            "id",
            "reference",
            "customer",
            "status",
            "allowed_actions",
            "total_cents",
            "items",
            "metadata",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class NewItemSerializer(serializers.Serializer):
    sku = serializers.CharField(min_length=1, max_length=64)
    quantity = serializers.IntegerField(min_value=1, max_value=1_000_000)
    unit_price_cents = serializers.IntegerField(min_value=0, max_value=1_000_000_000)


class NewOrderSerializer(serializers.Serializer):
    # Looked up by the view, which needs the customer anyway.
    customer_id = serializers.IntegerField(min_value=1)
    items = NewItemSerializer(many=True, min_length=1, max_length=500)
    reference = serializers.CharField(max_length=64, required=False)
    metadata = serializers.DictField(child=serializers.CharField(max_length=500, allow_blank=True), required=False)


class ListSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["pending", "paid", "shipped", "delivered", "cancelled"], required=False)
    email = serializers.CharField(max_length=254, required=False)
    customer_id = serializers.IntegerField(min_value=1, required=False)


class SummarySerializer(serializers.Serializer):
    customer_id = serializers.IntegerField(source="id")
    email = serializers.CharField()
    name = serializers.CharField()
    order_count = serializers.IntegerField()
    item_count = serializers.IntegerField()
    total_spent_cents = serializers.IntegerField()
