"""Customers and orders that are skewed as real ones are, and that no index suits by chance.

The first customer has every tenth order. The statuses follow age, as in life: the newest orders are pending, then come paid
and delivered ones, a few early ones are cancelled, and nothing is shipped. Addresses are made of 475 pairs of names; 40 % are
at one domain and 2 % at one of their own, and the newest customers and orders have none of those at old.example.org.
"""

CUSTOMERS = """
INSERT INTO customers (email, name)
SELECT
    first_names[1 + n * 7 % 25] || '.' || last_names[1 + n * 5 % 19] || '.' || n || '@' || CASE
        WHEN n % 50 = 0 THEN 'firm' || n || '.de'
        WHEN n % 5 < 2 THEN 'gmail.com'
        WHEN n < {customers} / 8 THEN 'old.example.org'
        ELSE 'yahoo.com'
    END,
    'A'
FROM generate_series(1, {customers}) AS n,
    string_to_array('alice bruno chloe daniel elena farid grace hiro ines jonas kavya liam mei noah olga pablo quinn rosa samir'
        ' tara umut vera wanda yusuf zoe', ' ') AS first_names,
    string_to_array('nguyen garcia okafor schmidt rossi tanaka kowalski silva haddad larsen novak dubois patel cohen murphy'
        ' ivanova mensah kim svensson', ' ') AS last_names
"""
ORDERS = """
INSERT INTO orders (reference, customer_id, status, total_cents, item_count)
SELECT
    CASE n % 4 WHEN 0 THEN 'PO-' || n END,
    first + CASE
        WHEN n % 10 = 0 THEN 0
        WHEN n < {orders} / 4 THEN n * 7919::bigint % ({customers} / 4)
        ELSE {customers} / 4 + n * 7919::bigint % ({customers} * 3 / 4)
    END,
    CASE
        WHEN n > {orders} * (1 - {pending}) THEN 'pending'
        WHEN n > {orders} * (1 - {pending} - {paid}) THEN 'paid'
        WHEN n % 500 IN (0, 1) THEN 'cancelled'
        ELSE 'delivered'
    END,
    n % 1000, 1
FROM generate_series(1, {orders}) AS n, (SELECT min(id) AS first FROM customers) AS c
"""
ITEMS = """
INSERT INTO order_items (order_id, sku, quantity, unit_price_cents) SELECT id, 'A', 1, total_cents FROM orders ORDER BY id
"""
TOTALS = """
INSERT INTO customer_totals (customer_id, order_count, item_count, spent_cents)
SELECT c.id, count(o.id), count(o.id), coalesce(sum(o.total_cents) FILTER (WHERE o.status <> 'cancelled'), 0)
FROM customers AS c
LEFT JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.id
"""


def skewed(customers: int, orders: int, *, pending: float, paid: float) -> list[str]:
    """Statements that fill empty tables, without their triggers. pending, paid: the shares of all orders that are that."""
    given = {"customers": customers, "orders": orders, "pending": pending, "paid": paid}
    filled = [statement.format(**given) for statement in (CUSTOMERS, ORDERS, ITEMS, TOTALS)]
    return ["SET session_replication_role = replica", *filled, "RESET session_replication_role"]
