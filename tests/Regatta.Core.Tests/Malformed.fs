/// What decoding must make of bytes that nobody wrote: a refusal that says why, or another value; nothing else.
module Regatta.Core.Tests.Malformed

open System
open System.IO
open Expecto
open FsCheck.FSharp
open Regatta.Testing

let withByte index value (source: ReadOnlyMemory<byte>) =
    let copy = source.ToArray()
    copy[index] <- value
    ReadOnlyMemory copy

/// Runs the decoder, allowing for a refusal; returns the bytes that it allocated.
let private allocatedBy decode (source: ReadOnlyMemory<byte>) =
    let before = GC.GetAllocatedBytesForCurrentThread()

    try
        decode source
    with :? InvalidDataException as refusal ->
        Expect.stringEnds refusal.Message "." "a refusal is a sentence"

    GC.GetAllocatedBytesForCurrentThread() - before

/// The most that a decoder may allocate for so many bytes: objects are larger than their encodings, within bounds. What a refusal
/// itself takes, stack trace and all, is the constant.
let private warranted (source: ReadOnlyMemory<byte>) = 65_536L + 64L * int64 source.Length

let private bounded decode source =
    let allocated = allocatedBy decode source
    Expect.isLessThanOrEqual allocated (warranted source) $"bytes allocated for {source.Length} bytes"

/// `whole` is a function, so that an encoder that does not work fails tests, not the start of the test program.
let tests (what: string) (whole: unit -> ReadOnlyMemory<byte>) (decode: ReadOnlyMemory<byte> -> unit) =
    let cases = Scale.pick 3_000 100_000
    let size = Gen.constant () |> Gen.bind (fun () -> Gen.constant (whole().Length))
    let anyByte = Gen.choose (0, 255) |> Gen.map byte
    let garbled = size |> Gen.bind (fun length -> Gen.zip (Gen.choose (0, length - 1)) anyByte)

    let noise =
        Gen.choose (0, 200)
        |> Gen.bind (fun length -> Gen.arrayOfLength length (Gen.frequency [ 3, Gen.choose (0, 5) |> Gen.map byte; 1, anyByte ]))

    [ testCase "is refused when it is cut off anywhere" (fun () ->
          let source = whole ()

          for length in 0 .. source.Length - 1 do
              Build.refuses what (fun () -> decode (source.Slice(0, length))))

      testCase "is refused with bytes behind it" (fun () ->
          Build.refuses "1 bytes are left behind" (fun () -> decode (ReadOnlyMemory [| yield! whole().ToArray(); 0uy |])))

      testCase "is refused in a format that is not known" (fun () ->
          Build.refuses "format 2 is unknown" (fun () -> decode (withByte 0 2uy (whole ()))))

      Property.test
          "is refused or read as something else when a byte of it is garbled"
          cases
          garbled
          (fun _ -> Seq.empty)
          (fun (index, value) -> bounded decode (withByte index value (whole ())))

      Property.test "is refused or read when it is noise" cases noise (fun _ -> Seq.empty) (fun noise ->
          bounded decode (ReadOnlyMemory [| 1uy; yield! noise |])) ]
