package outbox

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestToken(t *testing.T) {
	t.Parallel()
	organization := id.NewOrganization()

	t.Run("HoldsEveryPosition", func(t *testing.T) {
		t.Parallel()
		seen := Positions{"membership": 7, "invitation": 3}
		read, err := ParseToken(seen.Token(organization), organization)
		require.NoError(t, err)
		require.Equal(t, seen, read)
		require.Equal(t, seen.Token(organization), Positions{"invitation": 3, "membership": 7}.Token(organization), "equal positions, equal tokens")
	})

	t.Run("NoTokenAsksForNothing", func(t *testing.T) {
		t.Parallel()
		read, err := ParseToken("", organization)
		require.NoError(t, err)
		require.Empty(t, read)
	})

	t.Run("OthersAreRefused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{
			Token(id.NewOrganization(), "membership", 1), "!", "AA", base64.StdEncoding.EncodeToString([]byte("\xff\xff")),
		} {
			_, err := ParseToken(text, organization)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, fault.ReasonOf(err), "%q", text)
		}
	})
}
