package segment

import (
	"strings"

	"segue/schemas"
)

// translate brings the properties of an event into e. One that leaves e without
// a body passes by its name.
type translate func(c *call, properties fields, e *schemas.Event)

// translations are the events that mean something to every shop: those of
// Ecommerce Spec V2, of e-mail and of support.
var translations = map[string]translate{
	"Products Searched":     byName,
	"Product List Viewed":   (*call).productListViewed,
	"Product List Filtered": (*call).productListFiltered,

	"Promotion Viewed":  byName,
	"Promotion Clicked": byName,

	"Product Clicked":         byName, // the view that follows counts
	"Product Viewed":          (*call).productViewed,
	"Product Added":           changed(schemas.CartChange_ADDED),
	"Product Removed":         changed(schemas.CartChange_REMOVED),
	"Cart Viewed":             (*call).cartViewed,
	"Checkout Started":        (*call).checkout,
	"Checkout Step Viewed":    (*call).checkout,
	"Checkout Step Completed": (*call).checkout,
	"Payment Info Entered":    (*call).checkout,
	"Order Completed":         (*call).ordered,
	"Order Updated":           (*call).orderUpdated,
	"Order Refunded":          (*call).orderRefunded,
	"Order Cancelled":         (*call).orderCancelled,

	"Coupon Entered": byName,
	"Coupon Applied": byName,
	"Coupon Denied":  byName,
	"Coupon Removed": byName,

	"Product Added to Wishlist":      byName,
	"Product Removed from Wishlist":  byName,
	"Wishlist Product Added to Cart": changed(schemas.CartChange_ADDED),

	"Product Shared":   byName,
	"Cart Shared":      byName,
	"Product Reviewed": byName,

	"Order Delivered": orderDelivered,

	"Email Delivered":      byName,
	"Email Opened":         engaged(schemas.Engagement_OPENED),
	"Email Link Clicked":   engaged(schemas.Engagement_CLICKED),
	"Email Bounced":        rejected(false),
	"Email Marked as Spam": rejected(true),
	"Subscribed":           subscribed(true),
	"Unsubscribed":         subscribed(false),

	"Ticket Opened": ticket(false),
	"Ticket Closed": ticket(true),
}

// formerly are the names of V1 and of the libraries of its time.
var formerly = map[string]string{
	"Searched Products":       "Products Searched",
	"Viewed Product Category": "Product List Viewed",
	"Viewed Product List":     "Product List Viewed",
	"Viewed Promotion":        "Promotion Viewed",
	"Clicked Promotion":       "Promotion Clicked",
	"Clicked Product":         "Product Clicked",
	"Viewed Product":          "Product Viewed",
	"Viewed Product Details":  "Product Viewed",
	"Added Product":           "Product Added",
	"Removed Product":         "Product Removed",
	"Viewed Cart":             "Cart Viewed",
	"Started Order":           "Checkout Started",
	"Order Started":           "Checkout Started",
	"Started Checkout":        "Checkout Started",
	"Viewed Checkout Step":    "Checkout Step Viewed",
	"Completed Checkout Step": "Checkout Step Completed",
	"Payment Info Added":      "Payment Info Entered",
	"Completed Order":         "Order Completed",
	"Updated Order":           "Order Updated",
	"Refunded Order":          "Order Refunded",
	"Cancelled Order":         "Order Cancelled",
	"Canceled Order":          "Order Cancelled",
	"Order Canceled":          "Order Cancelled",
}

// known leads from any spelling of an event to its name.
var known = func() map[string]string {
	names := map[string]string{}
	for name := range translations {
		names[squeeze(name)] = name
	}
	for old, name := range formerly {
		names[squeeze(old)] = name
	}
	return names
}()

// reserved are the names of what Segue itself writes, squeezed: nobody outside
// may seem to have sent a mail, or to have put a playbook in force, nor take the
// id that an outcome will have (DELIVERY/sent).
var reserved = map[string]bool{
	"sent": true, "failed": true, "stale": true, "cancelled": true, "indoubt": true, "skipped": true, "held": true, "shadowed": true,
	"bounced": true, "bouncedsoft": true, "complained": true, "opened": true, "clicked": true, "rejection": true,
	"link": true, "merge": true, "forget": true, "tick": true, "playbook": true, "skip": true, "models": true, "campaign": true,
}

var separators = strings.NewReplacer(" ", "", "_", "", "-", "")

// squeeze takes out of a name what storefronts spell it differently by: product_viewed.
func squeeze(name string) string { return separators.Replace(strings.ToLower(name)) }

// byName is for what passes and counts by its name alone.
func byName(*call, fields, *schemas.Event) {}
