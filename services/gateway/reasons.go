package gateway

import (
	_ "embed"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// A copy of proto/roster/error/v1/error.proto, for its comments, which generated code does not carry. A test holds
// it to the original.
//
//go:embed error.proto.txt
var reasonsProto string

// reasonEntry is a reason as the page of errors shows it.
type reasonEntry struct {
	Name, Text string
	HTTP       int
	GRPC       codes.Code
}

var (
	reasonValue = regexp.MustCompile(`(?m)((?:^  // .*\n)+)^  REASON_(\w+) = \d+;`)
	reasonCodes = regexp.MustCompile(` [A-Z_]+, \d+(?:; \d+ when [^.]*)?\.$`) // what the columns say

	allReasons    = readReasons()
	reasonsByName = func() map[string]reasonEntry {
		byName := make(map[string]reasonEntry)
		for _, reason := range allReasons {
			byName[reason.Name] = reason
		}
		return byName
	}()
)

// readReasons returns every reason, in the order of the proto.
func readReasons() (all []reasonEntry) {
	says := make(map[string]string)
	for _, found := range reasonValue.FindAllStringSubmatch(reasonsProto, -1) {
		text := strings.Join(strings.Fields(strings.ReplaceAll(found[1], "//", " ")), " ")
		says[found[2]] = reasonCodes.ReplaceAllString(text, "")
	}
	var numbers []int32
	for number := range errorv1.Reason_name {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	for _, number := range numbers {
		if errorv1.Reason(number) == errorv1.Reason_REASON_UNSPECIFIED {
			continue
		}
		f := fault.New(errorv1.Reason(number), "")
		all = append(all, reasonEntry{f.Name(), says[f.Name()], f.HTTPStatus(), f.Code()})
	}
	return all
}

func (s *site) showReasons(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "reasons", view{Title: "Errors", Wide: true, Data: allReasons})
}
