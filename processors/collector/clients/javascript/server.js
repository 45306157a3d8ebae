// What a shop's server says through Segment's client for Node.
const { Analytics } = require("@segment/analytics-node");

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, maxRetries: 0 });
analytics.on("error", (e) => { console.error(e); process.exitCode = 1; });

const userId = "ada-node";
analytics.identify({ userId, traits: { email: "ada@shop.example" } });
analytics.track({ userId, event: "Product Added", properties: { product_id: "mug", price: 12.5, currency: "GBP" } });
analytics.page({ userId, properties: { url: "https://shop.example/" } });
analytics.screen({ userId, name: "Cart" });
analytics.group({ userId, groupId: "club" });
analytics.alias({ userId, previousId: "anon-node" });
analytics.closeAndFlush();
