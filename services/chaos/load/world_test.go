package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhoHasNoSessionDoesNotComeBack(t *testing.T) {
	t.Parallel()
	o := &organization{inside: make(map[*person]member)}
	o.leave(&person{id: "made by accepting, while nobody could be signed in"})
	o.leave(&person{id: "signed in", token: "t"})
	require.Len(t, o.outside, 1)
	require.Equal(t, "signed in", o.outside[0].id)
}
