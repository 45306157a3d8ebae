package collector

import (
	"net/http"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/collector/segment"
	"segue/schemas"
)

// takeCatalog brings in products, as the shop sells them now.
func (s *Station) takeCatalog(r *http.Request) *taken {
	t := new(taken)
	key, shown := headerKey(r)
	known := false
	if t.source, known = s.catalogKeys.of(key); !known {
		// Whoever builds the shop should see whose call it was.
		if t.source, known = s.writeKeys.of(key); known {
			return t.with(refusal(http.StatusForbidden, "write key: got one of a storefront, which every browser knows, want "+wantCatalogKey))
		}
		return t.with(unauthorized(shown, wantCatalogKey))
	}
	body, held, refused := s.read(r, segment.MaxBody)
	if refused != nil {
		return t.with(refused)
	}
	t.bytes = len(body)
	if refused := s.unsigned(r, key, body); refused != nil {
		held.giveBack()
		return t.with(refused)
	}
	listings, err := segment.ReadCatalog(body, segment.Receipt{At: s.config.Clock.Now().UnixMilli(), Source: t.source})
	if err != nil {
		held.giveBack()
		return t.with(wrong(err))
	}
	var all []outgoing
	for _, l := range listings {
		record := &kgo.Record{Topic: s.catalog, Key: []byte(l.ID), Timestamp: s.config.Clock.Now()}
		if l.Product != nil {
			record.Value = schemas.Encode(l.Product)
		}
		all = append(all, outgoing{record, s.metrics.products.WithLabelValues(t.source)})
		t.list(l)
	}
	return t.with(s.acknowledged(all, held.giveBack))
}
