// Package page makes the tokens that lists go on with: sealed, so that nothing can be read from or written into them, and
// bound to the caller and the filter, so that a token carries no authority and fits no other list.
package page

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/seal"
)

// ErrInvalid is the answer to a token that is not of this list.
var ErrInvalid = fault.New(errorv1.Reason_REASON_PAGE_TOKEN_INVALID,
	"This page token is not of this list. Begin again without one; a token goes with the filters it came with.")

// Sizes of a page.
const (
	defaultSize = 50
	maxSize     = 500
)

// Size is how many rows a request asks for.
func Size(asked int32) int {
	if asked <= 0 {
		return defaultSize
	}
	return min(int(asked), maxSize)
}

// Cut makes a page of up to size of the rows found, of which a list reads one more than it shows, and the token of the next page if there
// is one: position is where a row stands in the list.
func Cut[Row, Position any](key *seal.Key, found []Row, size int, position func(Row) Position, bound ...string) ([]Row, string, error) {
	if len(found) <= size {
		return found, "", nil
	}
	next, err := Next(key, position(found[size-1]), bound...)
	return found[:size], next, err
}

// Next returns the token of the page that begins after position.
func Next(key *seal.Key, position any, bound ...string) (string, error) {
	plain, err := json.Marshal(position)
	if err != nil {
		return "", fmt.Errorf("page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(key.Seal(plain, bound...)), nil
}

// Open reads the position of a token into position, and leaves it alone when there is no token.
func Open(key *seal.Key, token string, position any, bound ...string) error {
	if token == "" {
		return nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || base64.RawURLEncoding.EncodeToString(sealed) != token { // it skips line breaks
		return ErrInvalid
	}
	plain, err := key.Open(sealed, bound...)
	if err != nil || json.Unmarshal(plain, position) != nil {
		return ErrInvalid
	}
	return nil
}
