/// Files that pin what is on disk. golden/README.md says how to see and accept a difference.
module Regatta.Core.Tests.Golden

open System
open System.IO
open Expecto

let private rewrite = Environment.GetEnvironmentVariable "REGATTA_WRITE_GOLDEN" = "1"

let rec private sourceDirectory (directory: DirectoryInfo | null) =
    match directory with
    | null -> failtest "the directory of the golden files is not above the test's binaries"
    | directory when Directory.Exists(Path.Combine(directory.FullName, "golden")) -> Path.Combine(directory.FullName, "golden")
    | directory -> sourceDirectory directory.Parent

let private path name = Path.Combine(sourceDirectory (DirectoryInfo AppContext.BaseDirectory), name)

/// Sixteen bytes a line, as `xxd` has them, so that two dumps can be compared line by line.
let private dump (bytes: byte array) =
    bytes
    |> Array.chunkBySize 16
    |> Array.mapi (fun line chunk ->
        let hex = chunk |> Array.map (fun b -> b.ToString "x2") |> String.concat " "
        let shown = chunk |> Array.map (fun b -> if b >= 32uy && b < 127uy then char b else '.') |> String
        $"{line * 16:x8}: {hex, -47}  {shown}")

let private difference (expected: byte array) (actual: byte array) =
    let lineAt lines index = lines |> Array.tryItem index |> Option.defaultValue ""
    let before, after = dump expected, dump actual

    [ for index in 0 .. max before.Length after.Length - 1 do
          if lineAt before index <> lineAt after index then
              $"- {lineAt before index}"
              $"+ {lineAt after index}" ]
    |> String.concat Environment.NewLine

/// The bytes in the file; what is written today must equal them.
let check name (actual: ReadOnlyMemory<byte>) =
    let actual = actual.ToArray()

    if rewrite then File.WriteAllBytes(path name, actual)

    let expected = File.ReadAllBytes(path name)

    if expected <> actual then
        failtestf "golden/%s differs (see golden/README.md):%s%s" name Environment.NewLine (difference expected actual)

    ReadOnlyMemory expected
