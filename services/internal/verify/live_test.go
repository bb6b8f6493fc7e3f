package verify_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/verify"
)

func TestLive(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	for _, preset := range []membershipv1.Preset{pipeline, portal, rbac, flat} {
		s.life(t, preset)
	}
	report, err := s.checker.Check(t.Context(), verify.Options{Settled: true, Wait: 20 * time.Second, Stream: s.stream, History: s.history})
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}
