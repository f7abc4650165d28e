//go:build faults

package faults

import (
	endian "encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// What is known of packets: IPv4, and UDP in it.
//
//	IPv4  0 version and length of the header in words | 2 length of all | 8 TTL | 9 protocol | 10 checksum | 12 from | 16 to
//	UDP   0 port from | 2 port to | 4 length with this header | 6 checksum, 0: none
const (
	ipHeader  = 20
	udpHeader = 8
	udp       = 17
)

func isIPv4(p []byte) bool { return len(p) >= ipHeader && p[0]>>4 == 4 }

func destination(p []byte) netip.Addr { return netip.AddrFrom4([4]byte(p[16:20])) }

// datagram is the UDP part of a packet, nil when it is another.
func datagram(p []byte) []byte {
	if at := int(p[0]&15) * 4; p[9] == udp && len(p) > at+udpHeader {
		return p[at:]
	}
	return nil
}

// damage turns bits of a datagram's payload. The checksum does not tell: on the way it was taken out.
func damage(p []byte, random *rand.Rand) bool {
	d := datagram(p)
	if d == nil {
		return false // TCP's own checksum would tell
	}
	payload := d[udpHeader:]
	for range 1 + random.IntN(3) {
		payload[random.IntN(len(payload))] ^= 1 << random.IntN(8)
	}
	endian.BigEndian.PutUint16(d[6:], 0)
	return true
}

// shorten takes the end of a datagram away; its headers say so.
func shorten(p []byte, random *rand.Rand) bool {
	d := datagram(p)
	if d == nil {
		return false
	}
	keep := udpHeader + random.IntN(len(d)-udpHeader)
	endian.BigEndian.PutUint16(d[4:], uint16(keep))
	endian.BigEndian.PutUint16(d[6:], 0)
	endian.BigEndian.PutUint16(p[2:], uint16(len(p)-len(d)+keep))
	seal(p)
	return true
}

// cut is the packet as long as its header says.
func cut(p []byte) []byte { return p[:endian.BigEndian.Uint16(p[2:])] }

// seal makes the checksum of the IPv4 header right.
func seal(p []byte) {
	endian.BigEndian.PutUint16(p[10:], 0)
	sum := uint32(0)
	for i := 0; i < int(p[0]&15)*4; i += 2 {
		sum += uint32(endian.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	endian.BigEndian.PutUint16(p[10:], ^uint16(sum))
}

// newDatagram makes a packet.
func newDatagram(from, to netip.AddrPort, payload []byte) []byte {
	p := make([]byte, ipHeader+udpHeader+len(payload))
	p[0], p[8], p[9] = 0x45, 64, udp
	endian.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[12:], from.Addr().AsSlice())
	copy(p[16:], to.Addr().AsSlice())
	d := p[ipHeader:]
	endian.BigEndian.PutUint16(d, from.Port())
	endian.BigEndian.PutUint16(d[2:], to.Port())
	endian.BigEndian.PutUint16(d[4:], uint16(len(d)))
	copy(d[udpHeader:], payload)
	seal(p)
	return p
}
