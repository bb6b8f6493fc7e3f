package membership

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// auditHeader are the columns of the CSV.
var auditHeader = []string{
	"time", "id", "type", "result", "actor_kind", "actor_id", "actor_name", "target_ids", "target_names", "before", "after", "details",
	"reason", "method", "cause", "cause_id", "display_name", "email", "username", "client_address", "request_id", "trace_id", "service", "revision",
}

// auditFile is the part of an export that was not sent yet.
type auditFile struct {
	text bytes.Buffer
	csv  *csv.Writer // nil: JSON lines
}

func newAuditFile(format membershipv1.ExportAuditEventsRequest_Format) *auditFile {
	f := &auditFile{}
	if format != membershipv1.ExportAuditEventsRequest_FORMAT_JSON_LINES {
		f.csv = csv.NewWriter(&f.text)
		f.csv.UseCRLF = true
		_ = f.csv.Write(auditHeader) // a buffer takes everything
		f.csv.Flush()
	}
	return f
}

func (f *auditFile) contentType() string {
	if f.csv != nil {
		return "text/csv; charset=utf-8; header=present"
	}
	return "application/x-ndjson"
}

func (f *auditFile) size() int { return f.text.Len() }

// take returns what there is, and forgets it.
func (f *auditFile) take() []byte {
	part := bytes.Clone(f.text.Bytes())
	f.text.Reset()
	return part
}

func (f *auditFile) add(e *membershipv1.AuditEvent) error {
	if f.csv == nil {
		line, err := compact(e)
		f.text.WriteString(line + "\n")
		return err
	}
	row, err := auditRow(e)
	if err != nil {
		return err
	}
	for i := range row {
		row[i] = harmless(row[i])
	}
	if err := f.csv.Write(row); err != nil {
		return err
	}
	f.csv.Flush()
	return f.csv.Error()
}

// auditRow is an event in the order of auditHeader.
func auditRow(e *membershipv1.AuditEvent) ([]string, error) {
	var ids, names []string
	for _, target := range e.GetTargets() {
		ids = append(ids, target.GetId())
		if target.GetDisplayName() != "" {
			names = append(names, target.GetDisplayName())
		}
	}
	revision := ""
	if e.GetRevision() != 0 {
		revision = strconv.FormatInt(e.GetRevision(), 10)
	}
	var states [3]string
	for i, part := range []proto.Message{e.GetBefore(), e.GetAfter(), e.GetDetails()} {
		if !part.ProtoReflect().IsValid() { // absent
			continue
		}
		var err error
		if states[i], err = compact(part); err != nil {
			return nil, err
		}
	}
	return []string{
		e.GetTime().AsTime().UTC().Format(time.RFC3339Nano), e.GetId(), e.GetType(), bare(e.GetResult(), "RESULT_"),
		bare(e.GetActor().GetKind(), "KIND_"), e.GetActor().GetId(), e.GetActor().GetDisplayName(), strings.Join(ids, " "), strings.Join(names, ", "),
		states[0], states[1], states[2], e.GetReason(), e.GetMethod(), e.GetCause(), e.GetCauseId(), e.GetDisplayName(), e.GetEmail(), e.GetUsername(),
		e.GetClientAddress(), e.GetRequestId(), e.GetTraceId(), e.GetService(), revision,
	}, nil
}

// bare is the name of an enum's value without what all of them begin with.
func bare(value protoreflect.Enum, prefix string) string {
	named := value.Descriptor().Values().ByNumber(value.Number())
	if named == nil {
		return ""
	}
	return strings.TrimPrefix(string(named.Name()), prefix)
}

// harmless keeps a spreadsheet from taking a cell for a formula: whoever chooses their own name must not make an admin's
// spreadsheet compute it.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// compact is JSON on one line, the same from every build.
func compact(m proto.Message) (string, error) {
	loose, err := protojson.Marshal(m)
	if err != nil {
		return "", err
	}
	var tight bytes.Buffer
	if err := json.Compact(&tight, loose); err != nil {
		return "", err
	}
	return tight.String(), nil
}
