package collector

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"segue/schemas"
)

// The shop tells what it sells. A mug has no price any more, and is sold out; a
// plate is sold no more.
func TestCatalog(t *testing.T) {
	r := newRig(t)
	code, body, _ := r.do("POST", "/v1/catalog", `{"products":[
		{"product_id":"mug","name":"Blue mug","price":"12.50","currency":"GBP","category":"Kitchen","stock":0,"url":"https://shop.example/mug"},
		{"sku":"plate","removed":true}]}`, "Authorization", "Bearer k-stock")
	if code != 200 {
		t.Fatalf("POST /v1/catalog = %d %s, want 200", code, body)
	}
	records := r.read("shop.catalog", 2)
	got := new(schemas.CatalogProduct)
	if err := schemas.Decode(records[0].Value, got); err != nil {
		t.Fatal(err)
	}
	want := &schemas.CatalogProduct{Product: &schemas.Product{Id: "mug", Name: "Blue mug", Category: "Kitchen", PriceMicros: 12_500_000, Url: "https://shop.example/mug"},
		Currency: "GBP", Stock: proto.Int64(0), ReceivedAt: schemas.Timestamp(start.UnixMilli()), Source: "stock"}
	if string(records[0].Key) != "mug" || !proto.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", records[0].Key, got, want)
	}
	if gone := records[1]; string(gone.Key) != "plate" || gone.Value != nil {
		t.Errorf("got %s %x, want plate without a value", gone.Key, gone.Value)
	}
	if got := value(t, r.metrics.products.WithLabelValues("stock")); got != 2 {
		t.Errorf("products counted = %v, want 2", got)
	}
}

func TestCatalogRefuses(t *testing.T) {
	r := newRig(t)
	for name, tc := range map[string]struct {
		key, body string
		code      int
		answer    string
	}{
		"a storefront's key": {"k-web", `{}`, 403,
			`{"success":false,"error":"write key: got one of a storefront, which every browser knows, want one of collector.catalog_keys as user of Basic or as Bearer"}`},
		"no key of ours": {"k", `{}`, 401,
			`{"success":false,"error":"write key: got an unknown one, want one of collector.catalog_keys as user of Basic or as Bearer"}`},
		"no list": {"k-stock", `{"product_id":"mug"}`, 400,
			`{"success":false,"error":"nothing of the body was taken: body: got {\"product_id\":\"mug\"}, want an object with a list \"products\"","problems":[{"item":-1,"field":"body","got":"{\"product_id\":\"mug\"}","want":"an object with a list \"products\""}]}`},
		"a count alone": {"k-stock", `{"products":[{"product_id":"mug","name":"Mug"},{"product_id":"plate","stock":2}]}`, 400,
			`{"success":false,"error":"nothing of the body was taken: products[1].name: got nothing, want the product's name: what is told replaces all that was known of it","problems":[{"item":1,"field":"products[1].name","got":"nothing","want":"the product's name: what is told replaces all that was known of it"}]}`},
		"half a piece": {"k-stock", `{"products":[{"product_id":"mug","name":"Mug","stock":0.5}]}`, 400,
			`{"success":false,"error":"nothing of the body was taken: products[0].stock: got 0.5, want a whole number from 0 to 1000000","problems":[{"item":0,"field":"products[0].stock","got":"0.5","want":"a whole number from 0 to 1000000"}]}`},
	} {
		code, body, _ := r.do("POST", "/v1/catalog", tc.body, "Authorization", "Bearer "+tc.key)
		if code != tc.code || body != tc.answer+"\n" {
			t.Errorf("%s:\n got %d %s\nwant %d %s", name, code, body, tc.code, tc.answer)
		}
	}
	if n := r.kafka.PartitionInfo("shop.catalog", 0).HighWatermark; n != 0 {
		t.Errorf("catalog holds %d records of calls that were refused", n)
	}
}
