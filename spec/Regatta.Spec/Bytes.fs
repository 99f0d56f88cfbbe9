namespace Regatta.Spec

open System
open System.Text

/// An immutable byte string, for keys and values. Ordered bytewise and unsigned, a prefix before what it is a prefix of, so that the
/// order of a `Map<Bytes, _>` is the order of keys in a table.
[<Sealed; StructuredFormatDisplay("{Text}")>]
type Bytes private (data: byte array) =
    static let printable (b: byte) = if b >= 32uy && b < 127uy && b <> 92uy then string (char b) else $"\\x{b:x2}"

    static member Empty = Bytes [||]
    /// The range end that stands for "no upper end".
    static member Zero = Bytes [| 0uy |]
    /// A copy, so that nobody can change it afterwards.
    static member OfSpan(source: ReadOnlySpan<byte>) = Bytes(source.ToArray())
    static member OfArray(source: byte array) = Bytes(Array.copy source)
    static member OfText(text: string) = Bytes(Encoding.UTF8.GetBytes text)
    static member Repeat(value: byte, count: int) = Bytes(Array.create count value)

    member _.Length = data.Length
    member _.IsEmpty = data.Length = 0
    member _.Memory = ReadOnlyMemory data
    member _.ToArray() = Array.copy data
    member _.Append(other: Bytes) = Bytes(Array.append data (other.ToArray()))

    /// For people: printable ASCII as it is, other bytes as \xNN; one byte repeated, and the tail of anything long, abbreviated.
    member _.Text =
        if data.Length <= 32 then "'" + String.collect (fun c -> printable (byte c)) (String(Array.map char data)) + "'"
        elif Array.forall ((=) data[0]) data then $"'{printable data[0]}'*{data.Length}"
        else "'" + String.Concat(Seq.map printable (Seq.truncate 24 data)) + $"...'[{data.Length} bytes]"

    override this.ToString() = this.Text

    override _.GetHashCode() =
        let mutable hash = HashCode()
        hash.AddBytes(ReadOnlySpan data)
        hash.ToHashCode()

    override _.Equals other =
        match other with
        | :? Bytes as bytes -> ReadOnlySpan(data).SequenceEqual(bytes.Memory.Span)
        | _ -> false

    interface IComparable with
        member _.CompareTo other =
            match other with
            | :? Bytes as bytes -> ReadOnlySpan(data).SequenceCompareTo(bytes.Memory.Span)
            | _ -> invalidArg (nameof other) "byte strings compare with byte strings only"
