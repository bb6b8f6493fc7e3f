package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"evt_x","source":"/roster/membership","type":"roster.v1.member.added","aggregate":"org_x","revision":"1","epoch":"1","time":"2026-01-01T00:00:00Z","data":{}}`))
	f.Add([]byte(`{"revision":"-1"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Parse(body)
		if err != nil {
			require.Equal(t, Event{}, e)
			return
		}
		require.Positive(t, e.Revision)
		require.NotEmpty(t, e.Aggregate)
		_, _ = e.Message()
	})
}
