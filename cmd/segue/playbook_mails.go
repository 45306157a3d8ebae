package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"segue/processors/customer"
	"segue/processors/sender/mail/lint"
	"segue/schemas/playbook"
)

// lintMails composes every message of a playbook for a made-up customer, and
// returns what is wrong with the mails, and what could be better: what several of
// them share, once.
func lintMails(file string, pb *playbook.Playbook) (wrong []error, advice []string) {
	now := time.Now().UnixMilli()
	reader := customer.Somebody(pb, now)
	reader.Carts[0].Items[0].Image = "https://shop.example/picture.jpg" // else no picture is looked at
	seen := map[lint.Finding]bool{}
	for _, name := range slices.Sorted(maps.Keys(pb.Messages)) {
		for _, subject := range pb.Messages[name].Subjects {
			d, err := customer.Sample(pb, name, reader, now)
			if err != nil {
				return append(wrong, err), advice
			}
			d.Customer, d.Subject = "somebody", subject
			found, err := lint.Message(d, pb.Files)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: message %s: %w", file, name, err))
				break
			}
			for _, f := range found {
				switch line := fmt.Sprintf("%s: message %s: %v", file, name, f); {
				case seen[f]:
				case f.Wrong:
					wrong = append(wrong, fmt.Errorf("%s", line))
				default:
					advice = append(advice, "advice: "+line)
				}
				seen[f] = true
			}
		}
	}
	return wrong, advice
}
