package services_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/rosterhq/roster/services/"

// names of the services: packages of their own that never import one another.
var names = []string{"membership", "invitation", "identity", "billing", "gateway"}

// together are the packages that put services side by side: the process that holds all of them, and the commands.
var together = []string{"dev", "cmd/", "e2e", "bench"}

// testHelpers are packages that no shipped code imports.
var testHelpers = []string{module + "internal/testkit", "testing", "github.com/stretchr/testify/"}

// TestLayers holds the import rules of this module: verbs use nouns and rows, rows use nouns, nouns use nothing, services
// know one another only by gRPC and events.
func TestLayers(t *testing.T) {
	t.Parallel()
	for file, imports := range importsOf(t) {
		folder := path.Dir(file)
		test := strings.HasSuffix(file, "_test.go") || strings.HasPrefix(folder, "internal/testkit")
		for _, imported := range imports {
			local := strings.TrimPrefix(imported, module)
			switch {
			case !test && anyPrefix(imported, testHelpers):
				t.Errorf("%s ships, and imports the test helper %s", file, imported)
			case serviceOf(folder) != "" && serviceOf(local) != "" && strings.HasPrefix(imported, module) && serviceOf(folder) != serviceOf(local):
				t.Errorf("%s imports another service: %s", file, imported)
			case strings.HasPrefix(folder, "internal/") && serviceOf(local) != "" && strings.HasPrefix(imported, module):
				t.Errorf("%s is shared, and imports the service %s", file, imported)
			}
			if test || serviceOf(folder) == "" || serviceOf(folder) == "gateway" {
				continue
			}
			switch layer := layerOf(folder); {
			case strings.HasPrefix(imported, "github.com/jackc/pgx") && layer != "rows":
				t.Errorf("%s imports pgx; SQL lives in internal/store", file)
			case layer == "nouns" && strings.HasPrefix(imported, module) && !nounsMayUse(local):
				t.Errorf("%s holds rules, and imports %s", file, imported)
			case layer == "nouns" && strings.Contains(imported, "/pkg/gen/") && !strings.HasSuffix(imported, "/error/v1"):
				t.Errorf("%s holds rules, and imports the generated %s", file, imported)
			case layer == "rows" && strings.Contains(imported, "/pkg/gen/") && !strings.HasSuffix(imported, "/error/v1"):
				t.Errorf("%s holds SQL, and imports the generated %s", file, imported)
			}
		}
	}
}

// layerOf tells what a package of a service is: verbs, nouns or rows.
func layerOf(folder string) string {
	switch {
	case strings.HasSuffix(folder, "/internal/store"):
		return "rows"
	case strings.Contains(folder, "/internal/"):
		return "nouns"
	}
	return "verbs"
}

// nounsMayUse lists the shared packages without I/O, and the service's other nouns.
func nounsMayUse(local string) bool {
	switch local {
	case "internal/id", "internal/email", "internal/naming":
		return true
	}
	return serviceOf(local) != "" && layerOf(local) == "nouns"
}

func serviceOf(folder string) string {
	if anyPrefix(folder, together) {
		return ""
	}
	first, _, _ := strings.Cut(folder, "/")
	for _, name := range names {
		if first == name {
			return name
		}
	}
	return ""
}

func anyPrefix(text string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// importsOf lists what every Go file of the module imports.
func importsOf(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all[filepath.ToSlash(file)] = append(all[filepath.ToSlash(file)], imported)
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}
