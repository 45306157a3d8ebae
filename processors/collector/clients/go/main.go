// Command server says what a shop's server says, through Segment's client for Go.
package main

import (
	"errors"
	"log"
	"os"

	"gopkg.in/segmentio/analytics-go.v3"
)

// heard collects what the client could not deliver.
type heard struct{ errs []error }

func (*heard) Success(analytics.Message)              {}
func (h *heard) Failure(_ analytics.Message, e error) { h.errs = append(h.errs, e) }

func main() {
	var failed heard
	client, err := analytics.NewWithConfig(os.Args[2], analytics.Config{Endpoint: os.Args[1], Callback: &failed})
	if err != nil {
		log.Fatal(err)
	}
	const ada = "ada-go"
	for _, m := range []analytics.Message{
		analytics.Identify{UserId: ada, Traits: analytics.NewTraits().SetEmail("ada@shop.example")},
		analytics.Track{UserId: ada, Event: "Product Added", Properties: analytics.NewProperties().SetProductId("mug").SetPrice(12.5).SetCurrency("GBP")},
		analytics.Page{UserId: ada, Properties: analytics.NewProperties().SetURL("https://shop.example/")},
		analytics.Screen{UserId: ada, Name: "Cart"},
		analytics.Group{UserId: ada, GroupId: "club"},
		analytics.Alias{UserId: ada, PreviousId: "anon-go"},
	} {
		err = errors.Join(err, client.Enqueue(m))
	}
	if err = errors.Join(append(failed.errs, err, client.Close())...); err != nil {
		log.Fatal(err)
	}
}
