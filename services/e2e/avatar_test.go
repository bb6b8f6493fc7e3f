package e2e

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// TestAvatar is about people's pictures.
func TestAvatar(t *testing.T) {
	t.Parallel()
	picture := image.NewGray(image.Rect(0, 0, 300, 200))
	picture.Set(1, 1, color.White)
	var file bytes.Buffer
	require.NoError(t, png.Encode(&file, picture))
	look := func(t *testing.T, url string) (*http.Response, image.Image) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, suite.URL+url, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return answer, nil
		}
		img, err := png.Decode(answer.Body)
		require.NoError(t, err)
		return answer, img
	}

	scenario(t, "S2-05 the column of a member has picture, name and address", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member, late := org.join(t, "member"), signUp(t, over)
		set := func(who *person) string {
			answer, err := who.SetAvatar(t.Context(), &identityv1.SetAvatarRequest{Content: file.Bytes()})
			require.NoError(t, err)
			return answer.GetAccount().GetAvatarUrl()
		}
		shows := func(who *person, url string) {
			eventually(t, func() bool { return org.row(t, who.ID).GetAvatarUrl() == url }, "the list shows it")
			detail, err := org.owner.GetMember(t.Context(), &membershipv1.GetMemberRequest{OrganizationId: org.ID, AccountId: who.ID})
			require.NoError(t, err)
			require.Equal(t, url, detail.GetMember().GetAvatarUrl())
		}
		first := set(member)
		require.Regexp(t, "^/avatars/", first)
		shows(member, first)
		row := org.row(t, member.ID)
		require.Equal(t, []string{member.Name, member.Email}, []string{row.GetDisplayName(), row.GetEmail()})
		answer, img := look(t, first)
		require.Equal(t, image.Rect(0, 0, 256, 256), img.Bounds())
		require.Equal(t, "image/png", answer.Header.Get("Content-Type"))
		require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "default-src 'none'; sandbox", answer.Header.Get("Content-Security-Policy"))

		second := set(member)
		shows(member, second)
		answer, _ = look(t, first)
		require.Equal(t, http.StatusNotFound, answer.StatusCode)
		_, err := member.DeleteAvatar(t.Context(), &identityv1.DeleteAvatarRequest{})
		require.NoError(t, err)
		shows(member, "")
		answer, _ = look(t, second)
		require.Equal(t, http.StatusNotFound, answer.StatusCode)

		url := set(late)
		other := createBy(t, late, pipeline)
		eventually(t, func() bool {
			people, err := late.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: other.ID})
			return err == nil && people.GetPeople()[0].GetAvatarUrl() == url
		}, "who had one before is shown with it")
	})

	scenario(t, "S2-05 what is no picture is refused", func(t *testing.T, over string) {
		me := signUp(t, over)
		for _, content := range []string{`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`, "<!DOCTYPE html>", file.String()[:60]} {
			_, err := me.SetAvatar(t.Context(), &identityv1.SetAvatarRequest{Content: []byte(content)})
			refused(t, err, errorv1.Reason_REASON_AVATAR_REFUSED)
		}
		_, err := me.SetAvatar(t.Context(), &identityv1.SetAvatarRequest{Content: make([]byte, 256<<10+1)})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = connect(over, "").SetAvatar(t.Context(), &identityv1.SetAvatarRequest{Content: file.Bytes()})
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
	})
}
