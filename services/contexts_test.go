package services_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestContextsAreNotPrinted holds that no shipped code hands a context to what writes text: the context of a call holds its metadata, and
// with it the credential (GO-2024-2978).
func TestContextsAreNotPrinted(t *testing.T) {
	t.Parallel()
	t.Run("R60 no context is an argument of what prints or logs", func(t *testing.T) {
		t.Parallel()
		looked := 0
		for _, root := range []string{".", "../pkg"} {
			require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "../pkg/gen/") {
					return err
				}
				looked++
				for _, at := range contextsPrinted(t, path, nil) {
					t.Errorf("%s prints a context", at)
				}
				return nil
			}))
		}
		require.Greater(t, looked, 300)
	})

	t.Run("R60 the rule sees what it is about", func(t *testing.T) {
		t.Parallel()
		found := contextsPrinted(t, "example.go", `package p
func f(ctx context.Context, r *http.Request, stream grpc.ServerStream, log *slog.Logger) error {
	fmt.Println("at", ctx)
	log.Info("x", "context", ctx)
	log.InfoContext(ctx, "x", "context", r.Context())
	log.InfoContext(ctx, "fine", "error", ctx.Err())
	slog.Any("x", stream.Context())
	return fmt.Errorf("%v: %w", ctx, context.Cause(ctx))
}`)
		require.Equal(t, []string{"example.go:3", "example.go:4", "example.go:5", "example.go:7", "example.go:8"}, found)
	})
}

// printers are how the names of functions and methods begin that make text of what they get.
var printers = regexp.MustCompile(`^(Print|Sprint|Fprint|Append|Errorf|Newf|Debug|Info|Warn|Error|Panic|Fatal)|^(Log|LogAttrs|Any|With|Group)$`)

// printAll are those of them that print what comes first, too. With the others that is a format, or the context of the line itself, which handlers take
// the trace from.
var printAll = regexp.MustCompile(`^(Print|Sprint|Panic|Fatal)`)

// contextsPrinted returns where a file hands a context to a printer. What a context is, the names say: ctx, and the result of Context().
func contextsPrinted(t *testing.T, path string, source any) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		called, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !printers.MatchString(called.Sel.Name) {
			return true
		}
		arguments := call.Args
		if !printAll.MatchString(called.Sel.Name) {
			arguments = arguments[min(1, len(arguments)):]
		}
		for _, argument := range arguments {
			if isContext(argument) {
				at := files.Position(argument.Pos())
				at.Column = 0
				found = append(found, at.String())
			}
		}
		return true
	})
	return found
}

func isContext(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "ctx"
	case *ast.CallExpr:
		called, ok := e.Fun.(*ast.SelectorExpr)
		return ok && called.Sel.Name == "Context" && len(e.Args) == 0
	}
	return false
}
