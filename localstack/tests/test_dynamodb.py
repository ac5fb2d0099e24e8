"""What a journal relies on beyond a single request."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError


def key(name: str) -> dict:
    return {"pk": {"S": "c"}, "sk": {"S": name}}


def test_a_refused_transaction_takes_nothing_back_that_others_wrote(aws):
    names = [("pk", "HASH"), ("sk", "RANGE")]
    aws.dynamodb.create_table(
        TableName="journal",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in names],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names],
    )

    def write(name: str):
        put = {"TableName": "journal", "Item": key(name), "ConditionExpression": "attribute_not_exists(pk)"}
        aws.dynamodb.transact_write_items(TransactItems=[{"Put": put}])

    def be_refused(_: int):
        with pytest.raises(ClientError, match="TransactionCanceledException"):
            write("000")

    write("000")
    with ThreadPoolExecutor(8) as pool:
        written = pool.map(write, [f"{n:03}" for n in range(1, 100)])
        refused = pool.map(be_refused, range(100))
        list(written), list(refused)
    found = aws.dynamodb.query(
        TableName="journal",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "c"}},
    )
    assert [item["sk"]["S"] for item in found["Items"]] == [f"{n:03}" for n in range(100)]
