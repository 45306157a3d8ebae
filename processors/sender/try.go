package sender

import (
	"context"

	"segue/processors/sender/mail"
	"segue/schemas"
)

// Trial is what one relay made of a mail, and where that went wrong.
type Trial struct {
	Relay  string
	Result string
	Err    error
}

// Accepted reports whether the relay took the mail.
func (t Trial) Accepted() bool { return t.Result == accepted.String() }

// Try hands a mail of d to the first relay that can be reached, as a station
// would, with templates of a playbook. Nothing is noted or recorded, and it needs
// no Kafka.
func Try(ctx context.Context, c Config, d *schemas.Delivery, templates map[string][]byte) (trials []Trial, err error) {
	c.Instance = "try"
	if err := c.complete(); err != nil {
		return nil, err
	}
	m, err := c.composer().Compose(d, mail.NewTemplates(templates), c.Clock.Now())
	if err != nil {
		return nil, err
	}
	if c.ReturnPath != "" {
		m.From = c.ReturnPath
	}
	for _, r := range c.SMTP.relays() {
		k := courier{smtp: c.SMTP, name: greetingName(c.PublicURL), relay: r}
		result, err := k.send(ctx, m)
		k.hangUp()
		trials = append(trials, Trial{r.Addr, result.String(), err})
		if result != unreachable {
			break
		}
	}
	return trials, nil
}
