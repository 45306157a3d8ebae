"""What a shop's server says through Segment's client for Python, in gzip."""

import sys

import segment.analytics as analytics

analytics.host, analytics.write_key = sys.argv[1:]
analytics.gzip = True
analytics.max_retries = 0
failed = []
analytics.on_error = lambda error, items: failed.append(error)

ada = "ada-python"
analytics.identify(ada, {"email": "ada@shop.example"})
analytics.track(ada, "Product Added", {"product_id": "mug", "price": 12.5, "currency": "GBP"})
analytics.page(ada, properties={"url": "https://shop.example/"})
analytics.screen(ada, name="Cart")
analytics.group(ada, "club")
analytics.alias("anon-python", ada)
analytics.shutdown()
sys.exit(repr(failed) if failed else 0)
