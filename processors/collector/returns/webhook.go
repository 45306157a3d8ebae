package returns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Webhook reads what one provider posts.
type Webhook interface {
	// Read returns the returns that a call tells of; none, if it is about
	// something else. ErrUnsigned: the call is not shown to be the provider's, or
	// was made long ago. errLater: that could not be found out now.
	Read(ctx context.Context, header http.Header, body []byte, now time.Time) ([]Return, error)
}

// ErrUnsigned is in the error of a call that nobody shows to be the provider's.
var ErrUnsigned = errors.New("refused")

// errLater is in the error of a call that may be made again.
var errLater = errors.New("not now")

const (
	// maxAge is how old a signed call may be: providers try again for hours, and
	// a customer's station knows an outcome again for a day.
	maxAge = 24 * time.Hour
	// maxSkew is how far a provider's clock may be ahead of ours.
	maxSkew = 5 * time.Minute
)

func unsigned(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsigned, fmt.Errorf(format, args...))
}

// fresh refuses what was signed long ago, or will be: whoever kept it could send
// it again.
func fresh(field string, signed, now time.Time) error {
	if age := now.Sub(signed); age > maxAge || age < -maxSkew {
		return unsigned("%s: got %s, want an instant within %v before %s", field, signed.UTC().Format(time.RFC3339), maxAge, now.UTC().Format(time.RFC3339))
	}
	return nil
}

// seconds reads an instant in seconds since the epoch.
func seconds(field, text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return time.Time{}, unsigned("%s: got %.40q, want seconds since 1970", field, text)
	}
	return time.Unix(n, 0), nil
}

// parse reads JSON, and says where it is none.
func parse(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("body: %w (byte %d of %d)", err, syntax.Offset, len(body))
	case errors.As(err, &typed):
		return fmt.Errorf("body: %s: got a %s, want another type (byte %d of %d)", typed.Field, typed.Value, typed.Offset, len(body))
	case err != nil:
		return fmt.Errorf("body: %w", err)
	}
	return nil
}
