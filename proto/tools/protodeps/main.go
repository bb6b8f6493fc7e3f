// Command protodeps prints the .proto files of other projects that ours import, as they are linked
// into the Go packages we build with. buf reads them from a git-ignored folder, so no file of
// others enters the repository and no schema registry is asked.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/rpc/status"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protodeps FOLDER")
		os.Exit(2)
	}
	var failed error
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(file.Path(), "google/protobuf/") { // buf has these built in
			return true
		}
		failed = print(file, filepath.Join(os.Args[1], file.Path()))
		return failed == nil
	})
	if failed != nil {
		fmt.Fprintln(os.Stderr, "protodeps:", failed)
		os.Exit(1)
	}
}

func print(file protoreflect.FileDescriptor, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := (&protoprint.Printer{}).PrintProtoFile(file, out); err != nil {
		out.Close()
		return fmt.Errorf("%s: %w", file.Path(), err)
	}
	return out.Close()
}
