// SPDX-License-Identifier: AGPL-3.0-or-later

package dict

// TransferSyntax says how a data set is encoded (PS3.5 chapter 10).
type TransferSyntax struct {
	UID          string
	Name         string // the UID itself if not Known
	Implicit     bool   // no VR in the stream
	BigEndian    bool
	Deflated     bool // the data set as a whole is a deflate stream (RFC 1951)
	Encapsulated bool // pixel data comes in fragments; unknown syntaxes may do so too
	Lossy        bool // pixel data may have been compressed with loss
	Known        bool
}

// gePrivateImplicit is what GE scanners of the nineties sent: implicit VR little endian with big-endian pixel data.
const gePrivateImplicit = "1.2.840.113619.5.2"

// TransferSyntaxOf describes a transfer syntax. What is not known is taken for explicit VR little endian, as every
// transfer syntax since 1998 is (PS3.5 annex A.4).
func TransferSyntaxOf(uid string) TransferSyntax {
	t := TransferSyntax{UID: uid, Name: uid}
	if uid == gePrivateImplicit {
		t.Name, t.Known, t.Implicit = "Private GE Implicit VR, big-endian pixel data", true, true
		return t
	}
	u, ok := LookupUID(uid)
	if !ok || u.Kind != KindTransferSyntax {
		return t
	}
	t.Name, t.Known = u.Name, true
	switch uid {
	case ImplicitVRLittleEndian, Papyrus3ImplicitVRLittleEndian:
		t.Implicit = true
	case ExplicitVRBigEndian:
		t.BigEndian = true
	case DeflatedExplicitVRLittleEndian, JPIPReferencedDeflate, JPIPHTJ2KReferencedDeflate:
		t.Deflated = true
	case ExplicitVRLittleEndian, JPIPReferenced, JPIPHTJ2KReferenced,
		SMPTEST211020UncompressedProgressiveActiveVideo, SMPTEST211020UncompressedInterlacedActiveVideo,
		SMPTEST211030PCMDigitalAudio:
	case EncapsulatedUncompressedExplicitVRLittleEndian, RLELossless, DeflatedImageFrameCompression,
		JPEGLossless, JPEGLosslessNonHierarchical15, JPEGLosslessHierarchical28, JPEGLosslessHierarchical29,
		JPEGLosslessSV1,
		JPEGLSLossless, JPEG2000Lossless, JPEG2000MCLossless, HTJ2KLossless, HTJ2KLosslessRPCL, JPEGXLLossless,
		RFC2557MIMEEncapsulation, XMLEncoding:
		t.Encapsulated = true
	default:
		t.Encapsulated, t.Lossy = true, true
	}
	return t
}
