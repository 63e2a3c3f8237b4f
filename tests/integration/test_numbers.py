"""Numbers that a client may keep outlive a sandbox that begins anew."""

from tests.sandboxes import running


async def test_a_sandbox_that_begins_anew_gives_no_number_again():
    seen = []
    for _ in range(2):
        async with running(still=True) as (_, client):
            order = await client.market("BUY")
            (trade,) = await client.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
            income = await client.signed("GET", "/fapi/v1/income")
            seen.append((order["orderId"], trade["id"], max(int(row["tranId"]) for row in income)))
    assert all(later > earlier for earlier, later in zip(*seen, strict=True))
