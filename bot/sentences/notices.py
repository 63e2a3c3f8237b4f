"""What is told unasked: notices, late messages, secrets, the claim of the bot."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "closed_yes": "closed",
    "closed_no": "kept",
    "again": "again",
    "late": "This was sent {span} ago, while I was not listening. Nothing was done. Do you still want it?",
    "secret": "That looked like an API key, a secret or a token, so I deleted your message and did nothing with it. "
    "Secrets do not belong in a chat: they stay on servers and phones. Treat this one as seen by others: revoke it, "
    "make a new one, and give that on the machine itself with “run.py keys add”.",
    "secret_stays": "That looked like an API key, a secret or a token. I did nothing with it, but I could not delete "
    "your message: please delete it yourself. Treat this secret as seen by others: revoke it, make a new one, and "
    "give that on the machine itself with “run.py keys add”.",
    "claim_how": "This bot has no owner yet. If it is yours, send me the code that its console shows.",
    "claim_wrong": "That is not the code. It is on the console where the program was started.",
    "claim_enough": "That is not the code either. I do not listen to you until the console shows a new one.",
    "claim_done": "Welcome: you are the owner now, and nobody else may use this bot unless you let them in. "
    "/start shows what it can do.",
    "still": "Not acknowledged yet: {title}",
    "still_several": "{count} notices are not acknowledged yet",
    "on_grids": "{counted} on {grids}",
    "and_fills": "and {fills}",
    "away": "While you were away ({span})",
    "many": "{count} things happened at once",
    "pairs_title": "{symbol} · {count} pairs {profit}",
    "pairs_line": "bought {buy}, sold {sell}: {profit}",
    "pairs_total": "Pairs so far: {pairs}, grid profit {matched}",
    "refused_unknown": "That is not possible: {code}{details}.",
}

NOTICES: dict[str, tuple[str, tuple[str, ...]]] = {
    # title, lines; a line is left out where one of its values is missing
    "started": (
        "▶️ {symbol} started",
        ("{direction} grid, {lower} – {upper}, {grids} grids", "{orders} placed"),
    ),
    "stopped": ("⏹ {symbol} stopped", ("Position {closed}", "Total {total}")),
    "paused": ("⏸ {symbol} paused", ("Why: {reason}", "The position is kept.")),
    "resumed": ("▶️ {symbol} resumed", ()),
    "failed": ("🔴 {symbol} failed", ("Why: {reason}", "{text}", "Position {closed}", "Total {total}")),
    "finished": ("🏁 {symbol} finished", ("Why: {reason}", "Position {closed}", "Total {total}")),
    "fill": (
        "{symbol} · {side} {qty} at {price}",
        ("Counter-order: {counter_side} at {counter_price}",),
    ),
    "pair": (
        "{symbol} · pair {profit}",
        ("Bought {qty} at {buy}, sold at {sell}", "Pairs so far: {pairs}, grid profit {matched}"),
    ),
    "slot_waits": ("⏳ {symbol}: {side} {price} has no order", ("Why: {reason}",)),
    "foreign_trade": (
        "⚠️ {symbol}: a trade that Trellis did not make",
        ("{side} {qty} at {price}", "Order: {client_id}"),
    ),
    "error": ("⚠️ {symbol}: the exchange refused an order", ("{reason}", "It said: {text} ({code})")),
    "disconnected": ("🔌 {account}: the exchange cannot be reached", ("Orders that rest there go on resting.",)),
    "recovered": (
        "✅ {account}: connected again",
        ("{bots} checked, {orders} resting, {fills} caught up", "after {seconds}"),
    ),
}
