#!/usr/bin/env python3
"""Estimates what a month of a deployment costs: `terraform show -json PLAN` on standard input, a table on standard output.

    cost.py --prices FILE [--rate REQUESTS_A_SECOND]

What stands there whether anybody uses it or not, at the group's smallest and largest size; then an example of what use
costs. Whatever has no price in the file is named and not counted.
"""

import argparse
import json
import sys

HOURS = 730
# Metrics that detailed monitoring sends of an instance, and that the agent in the image sends of one and of the group.
EC2_METRICS = 7
AGENT_METRICS = 3
# Alarms that AWS makes for a target tracking policy.
TRACKING_ALARMS = 2
# Size of the image's snapshot, GB. Only blocks in use are stored, so this is the most.
SNAPSHOT_GB = 8
# The example of use: this share writes, documents of 1 kB, answers of 1.5 kB with their head, log lines of 300 bytes.
WRITES, ANSWER_KB, LINE_BYTES = 0.1, 1.5, 300
# Gigabytes out that AWS gives for nothing each month.
FREE_GB_OUT = 100


def planned(plan):
    """The plan's resources, by type: what there will be once it is applied."""
    found = {}
    for resource in plan["planned_values"]["root_module"].get("resources", []):
        if resource["mode"] == "managed":
            found.setdefault(resource["type"], []).append(resource)
    return found


def values(found, kind):
    return [resource["values"] for resource in found.get(kind, [])]


class Estimate:
    """Rows of what it is, how much of it, and US dollars a month at the smallest and the largest size."""

    def __init__(self, prices):
        self.prices, self.rows, self.unpriced = prices, [], []

    def add(self, what, price, smallest, largest=None):
        """`price` is of one for a month; `smallest` and `largest` are how many."""
        largest = smallest if largest is None else largest
        if largest:
            self.rows.append((what, smallest, largest, price * smallest, price * largest))

    def hourly(self, table, name):
        """The price of a month; 0, and a remark, where the table has none."""
        if name not in self.prices[table]:
            self.unpriced.append(name)
        return self.prices[table].get(name, 0) * HOURS

    def totals(self):
        return sum(row[3] for row in self.rows), sum(row[4] for row in self.rows)


def alarm_metrics(alarm):
    """What AWS charges an alarm by: the metrics that it reads."""
    return sum(bool(query["metric"]) for query in alarm.get("metric_query") or []) or 1


def estimate(plan, prices):
    """What stands there all month."""
    found, result = planned(plan), Estimate(prices)
    for group, template in zip(values(found, "aws_autoscaling_group"), values(found, "aws_launch_template")):
        least, most = group["min_size"], group["max_size"]
        kind, (disk,) = template["instance_type"], template["block_device_mappings"]
        result.add(f"instances, {kind}", result.hourly("instance_hour", kind), least, most)
        result.add(f"volumes of {disk['ebs'][0]['volume_size']} GB", prices["volume_gb_month"] * disk["ebs"][0]["volume_size"], least, most)
        if template["network_interfaces"][0]["associate_public_ip_address"] == "true":
            result.add("public addresses of instances", prices["public_ipv4_hour"] * HOURS, least, most)
        metrics = EC2_METRICS + AGENT_METRICS
        result.add("metrics of instances", prices["metric_month"], metrics * least + AGENT_METRICS, metrics * most + AGENT_METRICS)
    balancers = len(values(found, "aws_lb"))
    zones = sum(resource["name"] == "public" for resource in found.get("aws_subnet", []))
    result.add("load balancer", prices["balancer_hour"] * HOURS, balancers)
    result.add("public addresses of the balancer", prices["public_ipv4_hour"] * HOURS, balancers * zones)
    result.add("NAT gateway", (prices["nat_hour"] + prices["public_ipv4_hour"]) * HOURS, len(values(found, "aws_nat_gateway")))
    alarms = sum(map(alarm_metrics, values(found, "aws_cloudwatch_metric_alarm")))
    alarms += TRACKING_ALARMS * len(values(found, "aws_autoscaling_policy"))
    result.add("metrics that alarms read", prices["alarm_metric_month"], alarms)
    result.add("dashboard", prices["dashboard_month"], len(values(found, "aws_cloudwatch_dashboard")))
    result.add(f"image's snapshot, {SNAPSHOT_GB} GB at most", prices["snapshot_gb_month"] * SNAPSHOT_GB, balancers)
    for acl in values(found, "aws_wafv2_web_acl"):
        result.add("web ACL", prices["waf_acl_month"], 1)
        result.add("its rules", prices["waf_rule_month"], len(acl["rule"]))
    for cache in values(found, "aws_elasticache_replication_group"):
        kind = cache["node_type"]
        result.add(f"cache nodes, {kind}", result.hourly("cache_node_hour", kind), cache["num_cache_clusters"])
    return result


def use(rate, prices, waf=False):
    """What `rate` requests a second, all month, cost beside that: rows of what, how much, US dollars a month."""
    requests = rate * HOURS * 3600
    millions = requests / 1e6
    out = requests * ANSWER_KB / 1e6
    logs = requests * LINE_BYTES / 1e9
    # 1 GB an hour is one capacity unit; connections and rules are far below with keep-alive.
    units = max(rate * ANSWER_KB * 3600 / 1e6, 0)
    rows = [
        ("DynamoDB reads, consistent", f"{millions * (1 - WRITES):,.0f} million", millions * (1 - WRITES) * prices["table_million_reads"]),
        ("DynamoDB writes", f"{millions * WRITES:,.0f} million", millions * WRITES * prices["table_million_writes"]),
        ("balancer capacity units", f"{units:,.2f}", units * prices["lcu_hour"] * HOURS),
        ("data out to the internet", f"{out:,.0f} GB", max(out - FREE_GB_OUT, 0) * prices["data_out_gb"]),
        ("log lines", f"{logs:,.0f} GB", logs * prices["logs_gb"]),
    ]
    if waf:
        rows.append(("WAF", f"{millions:,.0f} million", millions * prices["waf_million_requests"]))
    return rows


def report(plan, book, rate):
    region = plan["variables"]["region"]["value"]
    known = region in book["regions"]
    prices = book["regions"][region if known else "us-east-1"]
    result = estimate(plan, prices)
    (group,) = values(planned(plan), "aws_autoscaling_group")
    lines = [f"{group['name']} in {region}: {book['currency']} a month, by list prices of {book['as_of']}, without tax", ""]
    if not known:
        lines[1:] = [f"There are no prices of {region} in prices.json: these are us-east-1's, which is among the cheapest.", ""]
    lines.append(f"{'':36}{'at ' + str(group['min_size']) + ' instances':>22}{'at ' + str(group['max_size']) + ' instances':>22}")
    lines += [f"{what:36}{least:>10g}{low:>12,.2f}{most:>10g}{high:>12,.2f}" for what, least, most, low, high in result.rows]
    low, high = result.totals()
    mark = "at least " if result.unpriced else ""
    lines += [f"{'together':36}{mark + format(low, ',.2f'):>22}{mark + format(high, ',.2f'):>22}", ""]
    lines += [f"{name} has no price in prices.json and is not counted." for name in result.unpriced]
    rows = use(rate, prices, waf="aws_wafv2_web_acl" in planned(plan))
    lines += [f"Beside that, use. For example {rate:g} requests a second all month, one in ten a write, 1 kB each:"]
    lines += [f"{what:36}{amount:>22}{price:>22,.2f}" for what, amount, price in rows]
    lines += [f"{'together':36}{'':22}{sum(row[2] for row in rows):>22,.2f}", ""]
    stored = prices["table_gb_month"] + prices["backup_gb_month"]
    lines += [f"Not in it: documents as they are stored, with their backups ({stored:.2f} a GB), traffic between zones and through"]
    lines += ["a NAT gateway, bursts of T instances, the bakes, access logs, free tiers. Spot Instances are counted as on"]
    lines += ["demand, a warm pool not at all."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prices", required=True, help="the price table, JSON")
    parser.add_argument("--rate", type=float, default=100, help="requests a second of the example of use")
    options = parser.parse_args()
    if not 0 < options.rate <= 1e7:
        parser.error(f"a rate is above 0 and at most 10,000,000 requests a second, not {options.rate:g}")
    with open(options.prices) as file:
        print(report(json.load(sys.stdin), json.load(file), options.rate))


if __name__ == "__main__":
    main()
