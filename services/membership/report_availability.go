package membership

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/pkg/fault"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ReportAvailability takes what another scheduler knows. The time of each report makes it idempotent: nothing older than what
// is known changes anything.
func (s *Service) ReportAvailability(ctx context.Context, req *membershipv1.ReportAvailabilityRequest) (*membershipv1.ReportAvailabilityResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	reports := make(map[id.Account]org.Report)
	accounts := make([]id.Account, len(req.GetReports()))
	for i, r := range req.GetReports() {
		if accounts[i], err = id.ParseAccount(r.GetAccountId()); err != nil {
			return nil, err
		}
		if _, twice := reports[accounts[i]]; twice {
			return nil, fault.Invalid("reports", fmt.Sprintf("must be at most one for each member: %s", accounts[i]))
		}
		report := org.Report{State: stateOf(r.GetState())}
		if report.Time, err = instant("report_time", r.GetReportTime()); err != nil {
			return nil, err
		}
		if report.Until, err = instant("until_time", r.GetUntilTime()); err != nil {
			return nil, err
		}
		reports[accounts[i]] = report
	}
	answer := &membershipv1.ReportAvailabilityResponse{}
	return answer, s.inTx(ctx, key, func(q store.Queries) error {
		at, schedules, err := q.LockSchedules(ctx, key, accounts...)
		if err != nil {
			return err
		}
		if err := at.Organization.TakesReports(); err != nil {
			return err
		}
		answer.Outcomes = nil
		for _, account := range accounts {
			report, schedule := reports[account], schedules[account]
			if err := report.Check(q.Now()); err != nil {
				return err
			}
			outcome := membershipv1.ReportAvailabilityResponse_OUTCOME_APPLIED
			switch {
			case !at.Members[account].Belongs():
				outcome = membershipv1.ReportAvailabilityResponse_OUTCOME_MEMBER_NOT_FOUND
			case !report.Follows(schedule.Report):
				outcome = membershipv1.ReportAvailabilityResponse_OUTCOME_SUPERSEDED
			default:
				schedule.Report = report
				q.SaveReport(key, account, report)
				follow(q, key, schedule)
			}
			answer.Outcomes = append(answer.Outcomes, outcome)
		}
		return nil
	})
}
