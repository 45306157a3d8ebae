// Package storefront is a shop and its shoppers: a real store's year as the
// HTTP calls that its storefront would have made.
//
//	Online Retail → orders, cancellations ┐
//	seed → browsing, carts, mail read     ┴ HTTP → collector → events
//	inbox → opens, clicks, unsubscribes, recovered carts ────▶ collector
//
// An invoice is an order at its real moment, and each of its lines an item. A
// line of a C… invoice is a refund. Lines without a customer are a guest's
// visit, never mailed; those that undo stock are an adjustment. Whoever orders
// has looked around and filled a cart before, sometimes the day before;
// now and then a cart is left behind, and a mail about it may be opened,
// clicked and bring an extra order, whose number begins with RecoveredOrder.
//
// What is simulated depends on the seed, the file and the mails that came, and
// on nothing else: every draw is a hash of what it is about.
//
// Not obvious: sessions begin up to Lookahead before their order, so invoices
// are read that far ahead of time, and no further: memory does not grow with
// the file. The times of the file are London's.
package storefront
