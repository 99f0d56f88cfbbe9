/// What commands print about a site whose keys are known.
module CommandOutput

open System
open Expecto
open Google.Protobuf
open Regatta.Cli
open FakeSite

let lines (expected: string list) = String.concat "\n" expected + "\n"

let withKeys () =
    task {
        let! site = start ()

        for key, value in
            [ Bytes.ofText "a", Bytes.ofText "1"
              Bytes.ofText "b", [| 0xFFuy; 0uy |]
              Bytes.ofText "lib/x", Bytes.ofText "two\nlines \"quoted\""
              [| 0xFEuy |], Bytes.ofText (String('v', 100)) ] do
            site.State.Put(ByteString.CopyFrom key, ByteString.CopyFrom value) |> ignore

        return site
    }

let expectOutput (expected: string) (result: Run.Result) =
    Expect.equal (result.Code, result.Errors) (ExitCode.Ok, "") "exit code, errors"
    Expect.equal result.Output expected "output"
