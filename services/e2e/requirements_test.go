package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requirement is the id of a requirement: S0-13, C15, T03, R27, RB17.
var requirement = regexp.MustCompile(`\b(S[0-3]-\d\d|C\d{1,2}|T\d\d|RB?\d{1,2})\b`)

// TestRequirements holds REQUIREMENTS.md to the tests: what it lists is named by a test, what a test names it lists.
func TestRequirements(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("REQUIREMENTS.md")
	require.NoError(t, err)
	var listed []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "- ") {
			listed = append(listed, requirement.FindString(line))
		}
	}
	named := map[string]bool{}
	subtest := regexp.MustCompile(`(?:t\.Run|scenario)\((?:t, )?"([^"]+)"`)
	err = filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, name := range subtest.FindAllSubmatch(source, -1) {
			for _, id := range requirement.FindAllString(string(name[1]), -1) {
				named[id] = true
			}
		}
		return nil
	})
	require.NoError(t, err)
	for _, id := range listed {
		require.True(t, named[id], "%s is listed and no test names it", id)
	}
	for id := range named {
		require.True(t, slices.Contains(listed, id), "a test names %s, and REQUIREMENTS.md does not list it", id)
	}
}
