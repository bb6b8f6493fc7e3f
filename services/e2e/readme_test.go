package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadme pastes the README's lines into a shell.
func TestReadme(t *testing.T) {
	t.Parallel()
	if *shape != "dev" {
		t.Skip("the README shows `make run`, which has a development inbox")
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	lines := regexp.MustCompile("(?s)```sh\n(R=http.*?)```").FindSubmatch(readme)
	require.NotNil(t, lines)
	out, err := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(string(lines[1]), "http://localhost:8080", suite.URL)).Output()
	require.NoError(t, err)
	last := string(out[strings.LastIndex(string(out), `{"people"`):])
	var answer struct {
		People []struct {
			DisplayName, Role, State string
		}
		TotalSize int
	}
	require.NoError(t, json.Unmarshal([]byte(last), &answer), string(out))
	require.Equal(t, 2, answer.TotalSize)
	require.Len(t, answer.People, 2)
	require.Equal(t, []string{"Ada owner STATE_ACTIVE", "Grace member STATE_ACTIVE"}, []string{
		answer.People[0].DisplayName + " " + answer.People[0].Role + " " + answer.People[0].State,
		answer.People[1].DisplayName + " " + answer.People[1].Role + " " + answer.People[1].State,
	})
}
