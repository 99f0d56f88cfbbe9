namespace Regatta.Chaos.Report

open System

/// How numbers and words are shown.
module internal Show =
    let count (number: int64) = number.ToString "N0"

    /// 83.4567 as 1:23.4567; a moment that never came as "never".
    let moment (seconds: float) =
        if Double.IsFinite seconds then
            let tenths = int64 (Math.Round(seconds * 10000.0))
            let whole = tenths / 10000L
            $"%d{whole / 60L}:%02d{whole % 60L}.%04d{tenths % 10000L}"
        else
            "never"

    /// How long, with the unit that suits it.
    let span (seconds: float) =
        if not (Double.IsFinite seconds) then "without end"
        elif seconds < 1.0 then $"%.1f{seconds * 1000.0} ms"
        elif seconds < 120.0 then $"%.3g{seconds} s"
        else $"%d{int seconds / 60} min %02d{int seconds % 60} s"

    /// At most so many characters, and an ellipsis in place of the rest.
    let cut length (text: string) =
        if text.Length <= length then
            text
        else
            let whole = if Char.IsHighSurrogate text[length - 2] then length - 2 else length - 1
            text.Substring(0, whole) + "…"

    let outcome outcome =
        match outcome with
        | Answered -> "answered"
        | Refused -> "refused"
        | Unknown -> "unknown"

    let verdict verdict =
        match verdict with
        | Passed -> "passed"
        | Failed -> "failed"
        | Void -> "void"
