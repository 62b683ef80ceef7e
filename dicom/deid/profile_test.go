// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

func TestProfileHash(t *testing.T) {
	a := profileOf(t, "options: [modified-dates, clean-descriptors]\nallow: [burned-in]\n")
	b := profileOf(t, "# a comment\nallow: [\"burned-in\"]\noptions:\n  - clean-descriptors\n  - modified-dates\n")
	require.Equal(t, a.Hash(), b.Hash())
	require.Len(t, a.Hash(), 64)
	require.NotEqual(t, a.Hash(), profileOf(t, "options: [clean-descriptors]\n").Hash())
	require.NotEqual(t, a.Hash(), profileOf(
		t, "options: [modified-dates, clean-descriptors]\nallow: [burned-in]\noverrides: [{vr: SH, action: remove}]",
	).Hash())
	c, err := NewProfile(a.Definition())
	require.NoError(t, err)
	require.Equal(t, a.Hash(), c.Hash())
	seen := map[string]bool{}
	for _, name := range BuiltinProfiles() {
		p, ok := BuiltinProfile(name)
		require.True(t, ok)
		require.Equal(t, name, p.Name())
		require.False(t, seen[p.Hash()])
		seen[p.Hash()] = true
	}
	_, ok := BuiltinProfile("none")
	require.False(t, ok)
}

// TestHashOfTheDefault: whoever changes what comes out counts `engine` up; whoever changes the profile, its version.
func TestHashOfTheDefault(t *testing.T) {
	p, _ := BuiltinProfile(DefaultProfile)
	require.Equal(t, "750d60a4de7a1c420dbf24edf5d9ba79a51a2fe9ec5563bc2e7f689422a58fa4", p.Hash())
}

func TestOverrides(t *testing.T) {
	const station, comments = "CT-Room7", "Doe"
	d := func() *Profile {
		return profileOf(t, `options: [modified-dates]
overrides:
  - {keyword: StationName, action: regex, pattern: "-.*", with: "-X"}
  - {keyword: StudyID, action: hash}
  - {keyword: PatientBirthDate, action: truncate}
  - {keyword: AccessionNumber, action: replace, with: A1}
  - {tag: "(0018,00xx)", vr: LO, action: empty}
  - {keyword: ProtocolName, action: keep}
  - {keyword: InstanceCreatorUID, action: remove}
  - {keyword: PatientInsurancePlanCodeSequence, action: keep}
  - {tag: "(0019,xx10)", creator: ACME 1.0, action: keep}
  - {tag: "(0019,xx11)", creator: ACME 1.0, action: hash}
  - {tag: "(0019,xx2x)", action: keep}
  - {vr: OB, action: remove}
`)
	}
	in := sample()
	in.Set(dict.StationName, station)
	in.Set(dict.ContrastBolusAgent, comments)
	in.Set(dict.ProtocolName, "Doe protocol")
	in.Set(dict.InstanceCreatorUID, "1.2.3")
	in.SetVR(0x00190010, dict.LO, "OTHER")
	in.SetVR(0x00190011, dict.LO, "ACME 1.0")
	in.SetVR(0x00191010, dict.LO, "of other")
	in.SetVR(0x00191110, dict.LO, "of acme")
	in.SetVR(0x00191111, dict.LO, "an id")
	in.SetVR(0x00191112, dict.LO, "more")
	in.SetVR(0x00191120, dict.DA, "20240229")
	in.SetVR(0x00191121, dict.DT, "before 2024")
	in.SetBytes(dict.ICCProfile, dict.OB, []byte{1, 2})
	s, err := d().Session(subject())
	require.NoError(t, err)
	got := through(t, s, in)
	require.Equal(t, "CT-X", got.String(dict.StationName))
	require.Regexp(t, "^[A-Z0-9]{14}$", got.String(dict.StudyID))
	require.Equal(t, "19560101", got.String(dict.PatientBirthDate))
	require.Equal(t, "A1", got.String(dict.AccessionNumber))
	require.True(t, got.Has(dict.ContrastBolusAgent))
	require.Empty(t, got.String(dict.ContrastBolusAgent))
	require.Equal(t, "Doe protocol", got.String(dict.ProtocolName))
	require.False(t, got.Has(dict.InstanceCreatorUID))
	require.False(t, got.Has(dict.ICCProfile))
	require.Equal(t, "ACME 1.0", got.String(0x00190011))
	require.Equal(t, "of acme", got.String(0x00191110))
	require.Regexp(t, "^[A-Z0-9]{14}$", got.String(0x00191111))
	require.Equal(
		t, got.String(dict.StudyDate), got.String(0x00191120), "a private date that is to stay beside shifted ones",
	)
	for _, gone := range []dict.Tag{0x00190010, 0x00191010, 0x00191112, 0x00191121} {
		require.False(t, got.Has(gone), "%s", gone)
	}
	require.Equal(t, "NO", got.String(dict.PatientIdentityRemoved))
	items := got.Items(dict.DeidentificationMethodCodeSequence)
	require.Len(t, items, 1)
	require.Equal(t, "113107", items[0].String(dict.CodeValue))
}

func TestBaseAdit(t *testing.T) {
	in := sample()
	in.Set(dict.SeriesDescription, "Doe lung")
	in.Set(dict.ScheduledProcedureStepStartDate, "20240228")
	in.Set(dict.ContentDate, "20240229")
	in.Set(dict.PatientAddress, "Main Street 1")
	got := through(t, session(t, "adit"), in)
	for tag, want := range map[dict.Tag]string{
		dict.StudyDate: "20240229", dict.StudyTime: "101500.25",
		dict.ContentDate: "20240229", dict.PatientBirthDate: "19560101",
		dict.SeriesDescription: "Doe lung", dict.PatientIdentityRemoved: "NO",
		dict.LongitudinalTemporalInformationModified: "MODIFIED",
	} {
		require.Equal(t, want, got.String(tag), "%s", tag)
	}
	for _, tag := range []dict.Tag{
		dict.AccessionNumber, dict.StudyID, dict.ReferringPhysicianName, dict.InstitutionName, dict.PatientAddress,
	} {
		require.Regexp(t, "^[A-Z0-9]{14}$", got.String(tag), "%s", tag)
	}
	require.False(t, got.Has(dict.ScheduledProcedureStepStartDate))
	require.False(t, got.Has(dict.DeidentificationMethodCodeSequence))
}
