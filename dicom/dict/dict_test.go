// SPDX-License-Identifier: AGPL-3.0-or-later

package dict

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		tag     Tag
		keyword string
		vr, alt VR
	}{
		{PatientID, "PatientID", LO, 0},
		{0x00100010, "PatientName", PN, 0},
		{PixelData, "PixelData", OW, OB},
		{SmallestImagePixelValue, "SmallestImagePixelValue", US, SS},
		{0x00000100, "CommandField", US, 0},
		{0x60003000, "OverlayData", OW, OB},
		{0x601E0010, "OverlayRows", US, 0},
		{0x50020005, "CurveDimensions", US, 0},
		{0x002031AB, "SourceImageIDs", CS, 0},
		{0x00100000, "", UL, 0}, // group length
		{0x00091234 &^ 0xFFFF, "", UL, 0},
		{0x00090010, "", LO, 0}, // private creator
		{ItemTag, "Item", 0, 0},
	} {
		e, ok := Lookup(c.tag)
		require.True(t, ok, c.tag)
		require.Equal(t, c.tag, e.Tag)
		require.Equal(t, c.keyword, e.Keyword)
		require.Equal(t, c.vr, e.VR, c.tag)
		require.Equal(t, c.alt, e.AltVR, c.tag)
	}
	for _, tag := range []Tag{0x00091001, 0x00101234, 0x60011010, 0xFFFFFFFF} {
		_, ok := Lookup(tag)
		require.False(t, ok, tag)
		require.Equal(t, UN, VROf(tag))
	}
}

func TestValidUID(t *testing.T) {
	for _, uid := range []string{"1.2.840.10008.1.2", "2.25.0", "1", "1.02.003", strings.Repeat("1.", 31) + "12"} {
		require.True(t, ValidUID(uid), uid)
	}
	for _, text := range []string{
		"", ".", "1.", ".1", "1..2", "1.2 ", "1.2\x00", "1.2\n", "a", "1.2/3",
		"../1.2", "1.2.3a", "１.2", "\xff", "1.-2", strings.Repeat("1.", 32) + "1",
	} {
		require.False(t, ValidUID(text), "%q", text)
	}
}

func TestTablesAreSorted(t *testing.T) {
	require.True(t, slices.IsSortedFunc(entries[:], func(a, b row) int { return int(int64(a.Tag) - int64(b.Tag)) }))
	require.True(t, slices.IsSortedFunc(uids[:], func(a, b UIDEntry) int { return strings.Compare(a.UID, b.UID) }))
	require.Len(t, entryTags, len(entries))
	for i, e := range entries {
		require.Equal(t, entryTags[i], e.Tag)
		require.Equal(t, i, find(e.Tag))
		if e.Keyword == "" {
			continue
		}
		got, ok := ByKeyword(e.Keyword)
		require.True(t, ok, e.Keyword)
		require.Equal(t, entry(i), got)
		require.NotEmpty(t, got.Name)
		require.True(t, e.VR == 0 || e.VR.Known(), e.Keyword)
	}
	_, ok := ByKeyword("")
	require.False(t, ok)
}

func TestTag(t *testing.T) {
	require.Equal(t, "(0010,0020)", PatientID.String())
	require.Equal(t, PatientID, NewTag(0x0010, 0x0020))
	require.True(t, Tag(0x00090010).IsPrivateCreator())
	require.False(t, Tag(0x00091010).IsPrivateCreator())
	require.True(t, Tag(0x00091010).IsPrivate())
	require.False(t, PatientID.IsPrivate())
	require.True(t, Tag(0x00080000).IsGroupLength())
	require.Equal(t, "PatientID", PatientID.Keyword())
}

func TestVR(t *testing.T) {
	for _, c := range []struct {
		vr                         VR
		long, charSet, text, multi bool
		padding                    byte
		width                      int
	}{
		{PN, false, true, true, true, ' ', 1},
		{UI, false, false, true, true, 0, 1},
		{UT, true, true, true, false, ' ', 1},
		{UR, true, false, true, false, ' ', 1},
		{OW, true, false, false, false, 0, 2},
		{AT, false, false, false, false, 0, 2},
		{FD, false, false, false, false, 0, 8},
		{SQ, true, false, false, false, 0, 1},
		{'Z'<<8 | 'Z', true, false, false, false, 0, 1}, // one yet to come
	} {
		require.Equal(t, c.long, c.vr.Long(), c.vr)
		require.Equal(t, c.charSet, c.vr.CharSet(), c.vr)
		require.Equal(t, c.text, c.vr.Text(), c.vr)
		require.Equal(t, c.multi, c.vr.MultiValued(), c.vr)
		require.Equal(t, c.padding, c.vr.Padding(), c.vr)
		require.Equal(t, c.width, c.vr.Width(), c.vr)
	}
	require.Equal(t, "PN", PN.String())
}

func TestTransferSyntaxOf(t *testing.T) {
	for _, c := range []struct {
		uid  string
		want TransferSyntax
	}{
		{ImplicitVRLittleEndian, TransferSyntax{Implicit: true, Known: true}},
		{ExplicitVRLittleEndian, TransferSyntax{Known: true}},
		{ExplicitVRBigEndian, TransferSyntax{BigEndian: true, Known: true}},
		{DeflatedExplicitVRLittleEndian, TransferSyntax{Deflated: true, Known: true}},
		{JPEGBaseline8Bit, TransferSyntax{Encapsulated: true, Lossy: true, Known: true}},
		{JPEGLosslessSV1, TransferSyntax{Encapsulated: true, Known: true}},
		{JPEG2000, TransferSyntax{Encapsulated: true, Lossy: true, Known: true}},
		{HTJ2KLossless, TransferSyntax{Encapsulated: true, Known: true}},
		{JPIPReferencedDeflate, TransferSyntax{Deflated: true, Known: true}},
		{gePrivateImplicit, TransferSyntax{Implicit: true, Known: true}},
		{"1.2.3", TransferSyntax{}},
		{CTImageStorage, TransferSyntax{}}, // no transfer syntax at all
	} {
		got := TransferSyntaxOf(c.uid)
		require.NotEmpty(t, got.Name)
		got.Name, got.UID = "", ""
		require.Equal(t, c.want, got, c.uid)
	}
}

func TestStorageClasses(t *testing.T) {
	current := StorageClasses(true)
	require.Greater(t, len(current), 150)
	require.Greater(t, len(StorageClasses(false)), len(current))
	for _, uid := range current {
		require.True(t, IsStorageClass(uid))
	}
	for _, uid := range []string{
		Verification, StorageCommitmentPushModel,
		StudyRootQueryRetrieveInformationModelMove, MediaStorageDirectoryStorage,
		HangingProtocolInformationModelFind, ExplicitVRLittleEndian, "1.2.3",
	} {
		require.False(t, IsStorageClass(uid), uid)
	}
	require.Contains(t, current, DigitalXRayImageStorageForPresentation)
	require.Equal(t, "CT Image Storage", UIDName(CTImageStorage))
	require.Equal(t, "1.2.3", UIDName("1.2.3"))
}

// TestLaterUIDs holds those that are newer than the generated tables' source against PS3.6 table A-1.
func TestLaterUIDs(t *testing.T) {
	for _, c := range []struct{ keyword, got, uid string }{
		{"HTJ2KLossless", HTJ2KLossless, "1.2.840.10008.1.2.4.201"},
		{"HTJ2K", HTJ2K, "1.2.840.10008.1.2.4.203"},
		{"JPEGXLLossless", JPEGXLLossless, "1.2.840.10008.1.2.4.110"},
		{"JPEGXL", JPEGXL, "1.2.840.10008.1.2.4.112"},
		{"DeflatedImageFrameCompression", DeflatedImageFrameCompression, "1.2.840.10008.1.2.8.1"},
		{"CTImageStorageForProcessing", CTImageStorageForProcessing, "1.2.840.10008.5.1.4.1.1.2.3"},
		{"PhotoacousticImageStorage", PhotoacousticImageStorage, "1.2.840.10008.5.1.4.1.1.6.3"},
		{"General32bitECGWaveformStorage", General32bitECGWaveformStorage, "1.2.840.10008.5.1.4.1.1.9.1.4"},
		{"WaveformPresentationStateStorage", WaveformPresentationStateStorage, "1.2.840.10008.5.1.4.1.1.9.100.1"},
		{"LabelMapSegmentationStorage", LabelMapSegmentationStorage, "1.2.840.10008.5.1.4.1.1.66.7"},
		{"ConfocalMicroscopyImageStorage", ConfocalMicroscopyImageStorage, "1.2.840.10008.5.1.4.1.1.77.1.8"},
		{"ConfocalMicroscopyTiledPyramidalImageStorage", ConfocalMicroscopyTiledPyramidalImageStorage, "1.2.840.10008.5.1.4.1.1.77.1.9"},
		{"InventoryStorage", InventoryStorage, "1.2.840.10008.5.1.4.1.1.201.1"},
		{"EnhancedRTImageStorage", EnhancedRTImageStorage, "1.2.840.10008.5.1.4.1.1.481.23"},
		{"UltrasoundWaveformStorage", UltrasoundWaveformStorage, "1.2.840.10008.5.1.4.1.1.601.5"},
	} {
		require.Equal(t, c.uid, c.got, c.keyword)
		e, ok := LookupUID(c.uid)
		require.True(t, ok, c.keyword)
		require.Equal(t, c.keyword, e.Keyword)
	}
}

func TestStorageClassesOf(t *testing.T) {
	require.Equal(t, CTImageStorage, StorageClassesOf("CT")[0])
	require.Contains(t, StorageClassesOf("CT"), SecondaryCaptureImageStorage)
	require.Contains(t, StorageClassesOf("unheard of"), SecondaryCaptureImageStorage)
	for modality := range byModality {
		list := StorageClassesOf(modality)
		for i, uid := range list {
			require.True(t, IsStorageClass(uid), uid)
			require.NotContains(t, list[:i], uid, modality)
		}
		require.Less(t, len(list), 64, "presentation contexts of one association")
	}
}

func TestTransferSyntaxes(t *testing.T) {
	all := TransferSyntaxes()
	require.Subset(t, all, []string{ImplicitVRLittleEndian, JPIPReferenced, JPEGExtended35})
	for _, uid := range all {
		require.True(t, TransferSyntaxOf(uid).Known, uid)
	}
}
