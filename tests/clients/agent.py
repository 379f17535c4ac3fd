"""An agent's session with the recipe of docs/agents.md. Arguments: the recipe's file, and the URL of the service."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import PythonStdioTransport

recipe, url, token = sys.argv[1:]


async def main() -> None:
    server = PythonStdioTransport(recipe, python_cmd=sys.executable, env={"ORDERS_URL": url, "ORDERS_TOKEN": token})
    async with Client(server) as agent:
        tools = {tool.name: tool.description for tool in await agent.list_tools()}
        customer = await agent.call_tool("create_customer", {"email": "agent@example.com", "name": "Agent"})
        item = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 1250}
        order = await agent.call_tool(
            "create_order",
            {"Idempotency-Key": "agent-1", "customer_id": customer.structured_content["id"], "items": [item]},
        )
        number = order.structured_content["id"]
        paid = await agent.call_tool("pay_order", {"order_id": number})
        page = await agent.call_tool("list_orders", {"status": "paid", "email": "agent@"})
        refused = await agent.call_tool("deliver_order", {"order_id": number}, raise_on_error=False)
    print(
        json.dumps(
            {
                "tools": tools,
                "statuses": [order.structured_content["status"], paid.structured_content["status"]],
                "found": [entry["id"] == number for entry in page.structured_content["results"]],
                "refusal": refused.content[0].text,
            }
        )
    )


asyncio.run(main())
