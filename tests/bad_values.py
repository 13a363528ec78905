"""Values that no request should have, by what they stand in the place of."""

from __future__ import annotations

SQL = "'; drop table payouts; --"

# Raw JSON that is wrong for any field of any type.
NEVER = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"undefined",
    b"'single'",
    b"tru",
    b"01",
    b"0x10",
    b"5.",
    b".5",
    b"+5",
    b"1_000",
    b'"unended',
    b'"\x00"',
    b'"a\x00b"',
    b'"\n"',
    b'"\\u0000"',
    b'"a\\u0000b"',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\\ud800\\ud800"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"\\x"',
    b"[" * 2_000 + b"]" * 2_000,
    b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    b"[" * 2_000,
    b'"' + b"a" * 100_000 + b'"',
]
# What is more for fields that are text, a number, an object.
TOO_LONG = b'"' + b"a" * 60_000 + b'"'
NOT_TEXT = [TOO_LONG, b"1", b"1.5", b"1e999", b"true", b"[]", b"{}", b'["CMR"]', b'{"a":"b"}']
NO_AMOUNT = [
    b'"1000"',
    b'""',
    b"null",
    b"true",
    b"[]",
    b"[1000]",
    b"{}",
    b"0",
    b"-0",
    b"0.00",
    b"-1",
    b"-1000",
    b"0.001",
    b"1000.001",
    b"1e-3",
    b"1e999",
    b"-1e999",
    b"1e99999999999999999999",
    b"1e-99999999999999999999",
    b"0e99999999999999999999",
    b"9" * 400,
    b"0." + b"1" * 400,
    b"1e15",
    b'"%s"' % SQL.encode(),
]
NO_MINUTES = [
    *(b'"60"', b'""', b"0", b"-1", b"1.5", b"10081", b"1e999", b"1" * 400),
    *(b"true", b"[]", b"[60]", b"{}", b'"%s"' % SQL.encode()),
]
NO_OBJECT = [
    b'"text"',
    b"1",
    b"true",
    b"[]",
    b'{"a":"\\ud800"}',
    b'{"a":"\\u0000"}',
    b'{"\\u0000":1}',
    b'{"a":"\xff"}',
    b'{"a":1e999}',
    b'{"a":1e-99999}',
    b'{"a":NaN}',
    b'{"a":1e-99999999999999999999}',
    b'{"a":"' + b"a" * 5_000 + b'"}',
    b'{"a":' + b"[" * 1_500 + b"]" * 1_500 + b"}",
]
# Bodies that are wrong whatever the route.
NO_BODIES = [
    b"{",
    b"}",
    b"{}{}",
    b"{'a':1}",
    b'{"a":1,}',
    b'{"a"}',
    b"[]",
    b"[{}]",
    b"null",
    b"true",
    b"7",
    b'"text"',
    b"NaN",
    b"\x00",
    b"{}\x00",
    b"\xff\xfe",
    b'{"\xff":1}',
    b'{"\\ud800":1}',
    b'\xef\xbb\xbf{"amount":1000}',
    b"{}".decode().encode("utf-16"),
    b"[" * 2_000 + b"]" * 2_000,
    b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    b"<amount>1000</amount>",
    b"amount=1000&provider=MTN_MOMO_CMR",
    b"\x1f\x8b\x08\x00",
]
# Identifiers that were never ours.
JUNK = [SQL, "0", "null", "pay_", "wdr_" + "z" * 26, "a" * 5_000, "\x00", "é", "..", "%00", " "]


# Values that each parameter of a query refuses.
WRONG_QUERIES: dict[str, list[object]] = {
    "limit": [0, -1, 101, 10**30, "abc", "1.5", "1e999", "", "\x00", SQL],
    "cursor": ["", "abc", SQL, "\x00", b"\xff", "é", "a" * 5_000],
    "from": ["", "yesterday", "2026-13-01", SQL, "\x00", "0001-01-01T00:00:00+23:59"],
    "to": ["", "yesterday", "9999-12-31T23:59:59-23:59", SQL, "\x00"],
    "status": ["", "pending", "PAID", SQL, "\x00"],
    "externalId": ["\x00", "a\x00b"],
    "topic": ["", "orders", "Generic", SQL, "\x00"],
    "event": ["", "payment", "payment.paid", "payment.completed ", SQL, "\x00"],
    "paymentId": ["", "ONE", "pay_", SQL, "\x00", "a" * 5_000],
    "country": ["", "cmr", "FRA", SQL, "\x00"],
    "provider": ["", "MTN_MOMO_FRA", SQL, "\x00"],
    "type": ["", "payment", "REFUNDS", SQL, "\x00"],
    "bom": ["", "perhaps", "2", SQL, "\x00"],
}
