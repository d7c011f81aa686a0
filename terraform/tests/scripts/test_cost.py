"""The estimate, on plans cut down to what it reads."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
import cost  # noqa: E402

BOOK = json.loads((SCRIPTS / "prices.json").read_text())
IRELAND = BOOK["regions"]["eu-west-1"]


def resource(kind, name="this", **values):
    return {"mode": "managed", "type": kind, "name": name, "values": values}


def plan(*more, kind="t3.small", public="true", region="eu-west-1"):
    template = resource(
        "aws_launch_template",
        instance_type=kind,
        block_device_mappings=[{"ebs": [{"volume_size": 10}]}],
        network_interfaces=[{"associate_public_ip_address": public}],
    )
    resources = [
        resource("aws_autoscaling_group", name="tideline", min_size=2, max_size=5),
        template,
        resource("aws_lb"),
        resource("aws_subnet", "public"),
        resource("aws_subnet", "public"),
        {"mode": "data", "type": "aws_lb", "name": "another", "values": {}},
        *more,
    ]
    resources[0]["values"]["name"] = "tideline"
    return {"variables": {"region": {"value": region}}, "planned_values": {"root_module": {"resources": resources}}}


def row(result, beginning):
    (found,) = [row for row in result.rows if row[0].startswith(beginning)]
    return found


class Estimates(unittest.TestCase):
    def test_instances_cost_by_their_number(self):
        result = cost.estimate(plan(), IRELAND)
        _, least, most, low, high = row(result, "instances")
        self.assertEqual((least, most), (2, 5))
        self.assertAlmostEqual(low, 2 * 0.0228 * 730)
        self.assertAlmostEqual(high, 5 * 0.0228 * 730)
        self.assertAlmostEqual(row(result, "volumes of 10 GB")[4], 5 * 10 * 0.088)

    def test_the_balancer_costs_the_same_at_any_size(self):
        _, least, most, low, high = row(cost.estimate(plan(), IRELAND), "load balancer")
        self.assertEqual((least, most, low), (1, 1, high))
        self.assertAlmostEqual(low, 0.0252 * 730)
        self.assertEqual(row(cost.estimate(plan(), IRELAND), "public addresses of the balancer")[1], 2)

    def test_private_instances_have_no_address_and_a_gateway(self):
        result = cost.estimate(plan(resource("aws_nat_gateway"), public="false"), IRELAND)
        self.assertFalse([row for row in result.rows if row[0] == "public addresses of instances"])
        self.assertAlmostEqual(row(result, "NAT gateway")[3], (0.048 + 0.005) * 730)

    def test_an_alarm_costs_by_the_metrics_it_reads(self):
        expression = {"metric": [], "expression": "a + b"}
        reads = {"metric": [{"metric_name": "x"}]}
        alarms = [
            resource("aws_cloudwatch_metric_alarm", metric_query=[expression, reads, reads]),
            resource("aws_cloudwatch_metric_alarm", metric_query=[]),
            resource("aws_autoscaling_policy"),
        ]
        self.assertEqual(row(cost.estimate(plan(*alarms), IRELAND), "metrics that alarms read")[1], 2 + 1 + 2)

    def test_what_is_added_is_counted(self):
        more = [
            resource("aws_wafv2_web_acl", rule=[{}, {}, {}, {}]),
            resource("aws_elasticache_replication_group", node_type="cache.t4g.micro", num_cache_clusters=2),
            resource("aws_cloudwatch_dashboard"),
        ]
        result = cost.estimate(plan(*more), IRELAND)
        self.assertEqual(row(result, "its rules")[3], 4)
        self.assertAlmostEqual(row(result, "cache nodes")[3], 2 * 0.0136 * 730)
        base = cost.estimate(plan(), IRELAND).totals()[0]
        self.assertAlmostEqual(result.totals()[0] - base, 5 + 4 + 3 + 2 * 0.0136 * 730)

    def test_what_has_no_price_is_named(self):
        said = cost.report(plan(kind="u-24tb1.metal"), BOOK, 100)
        self.assertIn("u-24tb1.metal has no price in prices.json and is not counted.", said)
        self.assertIn("at least ", said)
        self.assertNotIn("at least ", cost.report(plan(), BOOK, 100))

    def test_a_region_without_prices_is_told(self):
        self.assertIn("no prices of ap-south-1", cost.report(plan(region="ap-south-1"), BOOK, 100))
        self.assertNotIn("no prices", cost.report(plan(), BOOK, 100))


class Use(unittest.TestCase):
    def test_use_grows_with_the_rate(self):
        once = {row[0]: row[2] for row in cost.use(100, IRELAND)}
        twice = {row[0]: row[2] for row in cost.use(200, IRELAND)}
        self.assertAlmostEqual(twice["DynamoDB writes"], 2 * once["DynamoDB writes"])
        # 100/s are 262.8 million a month, a tenth of them writes.
        self.assertAlmostEqual(once["DynamoDB writes"], 26.28 * 0.705)
        self.assertAlmostEqual(once["DynamoDB reads, consistent"], 236.52 * 0.1415)

    def test_the_first_gigabytes_out_are_free(self):
        self.assertEqual({row[0]: row[2] for row in cost.use(1, IRELAND)}["data out to the internet"], 0)

    def test_waf_is_paid_by_requests(self):
        self.assertEqual(len(cost.use(100, IRELAND, waf=True)), len(cost.use(100, IRELAND)) + 1)


class Prices(unittest.TestCase):
    def test_every_region_has_every_price(self):
        names = {frozenset(prices) for prices in BOOK["regions"].values()}
        self.assertEqual(len(names), 1)
        for prices in BOOK["regions"].values():
            for price in prices.values():
                for each in price.values() if isinstance(price, dict) else [price]:
                    self.assertGreater(each, 0)

    def test_the_table_is_dated(self):
        self.assertRegex(BOOK["as_of"], r"^20\d\d-\d\d$")


class Program(unittest.TestCase):
    def run_with(self, *words):
        return subprocess.run(
            [sys.executable, SCRIPTS / "cost.py", "--prices", SCRIPTS / "prices.json", *words],
            input=json.dumps(plan()), capture_output=True, text=True, timeout=30,
        )  # fmt: skip

    def test_it_prints_a_table(self):
        done = self.run_with()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("at 2 instances", done.stdout)

    def test_a_rate_that_is_none_is_refused(self):
        for rate in ("0", "-1", "many", "nan"):
            done = self.run_with("--rate", rate)
            self.assertEqual(done.returncode, 2, rate)
            self.assertIn("rate", done.stderr)


if __name__ == "__main__":
    unittest.main()
