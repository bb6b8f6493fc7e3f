package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/seal"
)

// A link says what was put into it, to who has the key, until it expires.
func TestLeaveLink(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Microsecond)
	key := seal.NewKey([32]byte{1})
	link := leaveLink{organization: id.NewOrganization(), account: id.NewAccount(), joined: now.Add(-time.Hour), expires: now.Add(leaveLifetime)}
	text := link.seal(key)
	require.LessOrEqual(t, len(text), 256, "as long as the request takes")

	read, err := openLeaveLink(key, text, link.expires.Add(-time.Microsecond))
	require.NoError(t, err)
	require.Equal(t, []any{link.organization, link.account}, []any{read.organization, read.account})
	require.True(t, read.joined.Equal(link.joined) && read.expires.Equal(link.expires))
	_, err = openLeaveLink(key, text, link.expires)
	require.ErrorIs(t, err, errLeaveLink)
	_, err = openLeaveLink(seal.NewKey([32]byte{2}), text, now)
	require.ErrorIs(t, err, errLeaveLink)
}
