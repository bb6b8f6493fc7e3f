package org_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

func TestDomain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	t.Run("R68_Names", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]string{
			"Example.COM": "example.com", "bücher.example": "xn--bcher-kva.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
			"mail.example.com": "mail.example.com",
		} {
			name, err := org.ParseDomain(text)
			require.NoError(t, err, text)
			require.Equal(t, want, name)
		}
		for _, text := range []string{
			"", "example", "example.com.", ".example.com", "*.example.com", "exa mple.com", "example.com/x", "ada@example.com", "192.0.2.1",
			"xn--example-.com", "xn--a.com", "exa_mple.com", "-example.com", strings.Repeat("a.", 120) + "example.com",
		} {
			_, err := org.ParseDomain(text)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, fault.ReasonOf(err), text)
		}
	})

	t.Run("R68_WhatNobodyOwns", func(t *testing.T) {
		t.Parallel()
		providers := org.NewProviders([]string{" Mail.Example ", ""})
		for _, name := range []string{"co.uk", "github.io", "gmail.com", "outlook.com", "mailinator.com", "inbox.mailinator.com", "mail.example", "eu.mail.example"} {
			require.Equal(t, errorv1.Reason_REASON_DOMAIN_REFUSED, fault.ReasonOf(providers.Ownable(name)), name)
		}
		for _, name := range []string{"example.com", "example.co.uk", "someone.github.io", "notgmail.com", "gmail.com.example.com"} {
			require.NoError(t, providers.Ownable(name), name)
		}
	})

	t.Run("R68_AChallengeIsEachOrganizationsOwn", func(t *testing.T) {
		t.Parallel()
		one, other := org.NewDomain("example.com", now), org.NewDomain("example.com", now)
		require.NotEqual(t, one.RecordValue(), other.RecordValue())
		require.GreaterOrEqual(t, len(one.Challenge)*5, 128, "base32")
		require.Equal(t, "_roster-challenge.example.com", one.RecordName())
		f := fault.From(one.Unproven())
		require.Equal(t, one.RecordName(), f.Metadata["record"])
		require.Equal(t, one.RecordValue(), f.Metadata["value"])
	})

	t.Run("ThereIsALimit", func(t *testing.T) {
		t.Parallel()
		var have []org.Domain
		for i := range org.MaxDomains {
			d, err := org.AddDomain(fmt.Sprintf("%d.example.com", i), have, now)
			require.NoError(t, err)
			have = append(have, d)
		}
		_, err := org.AddDomain("more.example.com", have, now)
		require.Equal(t, errorv1.Reason_REASON_LIMIT_REACHED, fault.ReasonOf(err))
		_, err = org.AddDomain("7.example.com", have[:9], now)
		require.Equal(t, errorv1.Reason_REASON_NAME_TAKEN, fault.ReasonOf(err))
	})

	t.Run("R68_ALostProofSuspendsAfterAGraceAndComesBack", func(t *testing.T) {
		t.Parallel()
		d := org.NewDomain("example.com", now)
		require.True(t, d.Prove(now))
		require.Equal(t, org.DomainVerified, d.State)
		require.Equal(t, 12*time.Hour, d.NextCheck(now).Sub(now))
		require.False(t, d.Prove(now.Add(time.Hour)), "it was known")
		require.Equal(t, now, *d.VerifyTime)

		require.False(t, d.Miss(now.Add(2*time.Hour)))
		require.Equal(t, org.DomainVerified, d.State, "away for a moment")
		require.Equal(t, time.Hour, d.NextCheck(now).Sub(now), "it is looked for more often")
		require.False(t, d.Miss(now.Add(50*time.Hour)))
		require.False(t, d.Prove(now.Add(51*time.Hour)), "nobody hears that it was away")
		require.Nil(t, d.MissingTime, "the grace begins anew")

		require.False(t, d.Miss(now.Add(60*time.Hour)))
		require.False(t, d.Miss(now.Add(131*time.Hour)))
		require.True(t, d.Miss(now.Add(132*time.Hour)))
		require.Equal(t, org.DomainSuspended, d.State)
		require.False(t, d.Miss(now.Add(140*time.Hour)), "told once")

		back := now.Add(200 * time.Hour)
		require.True(t, d.Prove(back))
		require.Equal(t, org.DomainVerified, d.State)
		require.Equal(t, back, *d.VerifyTime, "who signed up in between does not join")
	})
}

func TestJoinRole(t *testing.T) {
	t.Parallel()

	t.Run("RB14_TheRoleOfEveryPresetIsHarmless", func(t *testing.T) {
		t.Parallel()
		for _, preset := range presets {
			o := org.Organization{Policy: preset.Policy(), Roles: preset.Roles()}
			o.Policy.AutoJoin = true
			role, err := o.JoinRole()
			if preset == org.Flat {
				require.Error(t, err, "its one role has full rights")
				continue
			}
			require.NoError(t, err, preset)
			require.Equal(t, o.Policy.DefaultJoinRole, role.Key)
		}
	})

	t.Run("RB14_NoPermissionThatWidensPowerAndNothingBeyondAMember", func(t *testing.T) {
		t.Parallel()
		o := org.Organization{Policy: org.Portal.Policy()}
		for _, p := range org.Catalogue() {
			o.Roles = org.Roles{{Key: "member", Permissions: org.Set{p.Name}}}
			_, err := o.JoinRole()
			want := strings.Contains(held[p.Name], "m") && !p.Dangerous
			require.Equal(t, want, err == nil, p.Name)
		}
		o.Roles, o.Policy.DefaultJoinRole = org.Portal.Roles(), "admin"
		_, err := o.JoinRole()
		require.Equal(t, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, fault.ReasonOf(err))
		o.Policy.DefaultJoinRole = "owner"
		_, err = o.JoinRole()
		require.Equal(t, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, fault.ReasonOf(err))
	})

	t.Run("R69_NobodyJoinsWhereThePolicySaysSo", func(t *testing.T) {
		t.Parallel()
		o := org.Organization{Policy: org.RBAC.Policy(), Roles: org.RBAC.Roles()}
		_, err := o.JoinRole()
		require.Equal(t, errorv1.Reason_REASON_FEATURE_OFF, fault.ReasonOf(err))
	})
}
