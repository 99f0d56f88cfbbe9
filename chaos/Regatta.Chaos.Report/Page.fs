namespace Regatta.Chaos.Report

open System
open System.IO
open System.Security.Cryptography
open System.Text

/// The report of one run: a page that needs nothing but itself.
module Page =
    let private asset name =
        let assembly = typeof<RunRecord>.Assembly

        match assembly.GetManifestResourceStream name |> Option.ofObj with
        | None -> invalidOp $"{name} is not among the resources of {assembly.FullName}"
        | Some stream ->
            use reader = new StreamReader(stream)
            reader.ReadToEnd()

    /// The scripts in the order of their needs; report.js starts it all.
    let private scripts = [ "data.js"; "view.js"; "panel.js"; "timeline.js"; "graphs.js"; "tables.js"; "report.js" ]

    let private script = lazy ("\"use strict\";\n{\n" + (scripts |> List.map asset |> String.concat "\n") + "\n}")

    let private style = lazy (asset "report.css")

    let private hash (text: string) = $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes text))}'"

    /// Whatever a record's text may smuggle in, the browser runs this page's script and style and loads nothing.
    let private policy () = $"default-src 'none'; script-src {hash script.Value}; style-src {hash style.Value}"

    let private title (record: RunRecord) = $"Chaos run, seed {record.Seed}: {Show.verdict record.Verdict}"

    let private head record =
        Html.element
            "head"
            []
            [ Html.element "meta" [ "charset", "utf-8" ] []
              Html.element "meta" [ "http-equiv", "Content-Security-Policy"; "content", policy () ] []
              Html.element "meta" [ "name", "viewport"; "content", "width=device-width" ] []
              Html.element "meta" [ "name", "color-scheme"; "content", "light dark" ] []
              Html.plain "title" (title record)
              Html.element "style" [] [ Asset style.Value ] ]

    let private body record =
        let sections =
            Findings.failures record
            @ [ Findings.checks record; Graphs.timeline; Graphs.rates; Graphs.lag; Graphs.operations; Findings.faults record ]

        Html.element
            "body"
            []
            [ Head.draw record
              Graphs.bar
              Html.element "main" [] sections
              Html.element "div" [ "id", "tip"; "hidden", "" ] []
              Html.element "script" [ "id", "data"; "type", "application/json" ] [ Asset(PageData.make record) ]
              Html.element "script" [] [ Asset script.Value ] ]

    /// Writes the page, in place of what was there.
    let write (path: string) (record: RunRecord) =
        use page = new StreamWriter(path, false, UTF8Encoding false)
        page.Write "<!DOCTYPE html>\n"
        Html.write page (Html.element "html" [ "lang", "en" ] [ head record; body record ])
