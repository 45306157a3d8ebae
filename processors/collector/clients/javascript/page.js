// What a shop's page says through Segment's client for browsers, which is told
// the collector as its cdnURL and nothing else. Each page leads to the next.
const { collector, writeKey } = Object.fromEntries(new URLSearchParams(location.search));
const start = (options) => AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnURL: collector }, options);
const next = (page) => { location.href = page + location.search; };

const pages = {
	async "/"() {
		const analytics = start();
		await analytics.page({ url: "https://shop.example/" });
		await analytics.track("Product Added", { product_id: "mug", price: 12.5, currency: "GBP" });
		await analytics.identify("ada-browser", { email: "ada@shop.example" });
		await analytics.screen("Cart");
		await analytics.group("club");
		await analytics.alias("ada-browser", "anon-browser");
		next("/beacons");
	},
	// What other clients do when a page is left: the key in the body, as text or as JSON.
	"/beacons"() {
		const call = (event) => JSON.stringify({ writeKey, event, userId: "ada-browser", messageId: event });
		navigator.sendBeacon(collector + "/v1/t", call("Text Beacon"));
		navigator.sendBeacon(collector + "/v1/t", new Blob([call("JSON Beacon")], { type: "application/json" }));
		next("/left");
	},
	// Two calls wait for more, and the page is left.
	async "/left"() {
		const analytics = start({ integrations: { "Segment.io": { deliveryStrategy: { strategy: "batching", config: { size: 10, timeout: 600000 } } } } });
		await analytics.track("Quiz Started");
		await analytics.track("Quiz Finished");
		next("/end");
	},
	"/end"() {},
};
pages[location.pathname]();
