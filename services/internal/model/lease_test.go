package model

import "testing"

func TestLeases(t *testing.T) {
	t.Parallel()
	holds(t, lease(""))
}

// TestLeaseMutants shows that each rule is needed.
func TestLeaseMutants(t *testing.T) {
	t.Parallel()
	for m, violation := range map[mutant]string{
		noWait:                 staleAfterReturn,
		noRegistry:             staleAfterReturn,
		leaseFromReplyTime:     tooStale,
		snapshotBeforeRegister: staleAfterReturn,
		stalePrimary:           staleAfterReturn,
	} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			breaks(t, lease(m), violation)
		})
	}
}
