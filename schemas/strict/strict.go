// Package strict reads the small files that people write, and says where they are
// wrong.
//
//	machines.yaml, models.yaml → Unmarshal → a struct
//
// Not obvious: a name that the struct does not have is an error, since it is one
// that somebody misspelt. A playbook, whose every value has its own message, is
// read by schemas/playbook.
package strict

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
)

// Unmarshal reads text, which is what the file called name holds, into v. An error
// is one line, with line and column where they are known.
func Unmarshal(name string, text []byte, v any) (err error) {
	defer func() {
		if recover() != nil { // the parser does not promise to survive everything
			err = fmt.Errorf("%s: got what the parser cannot read, want YAML", name)
		}
	}()
	if err = yaml.UnmarshalWithOptions(text, v, yaml.Strict()); err == nil {
		return nil
	}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return fmt.Errorf("%s:%d:%d: %s", name, at.GetToken().Position.Line, at.GetToken().Position.Column, at.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}
