// The story as text for a terminal, and as JSON for programs.
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "harness/story.hpp"

namespace harness {
namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* form, ...) {
  std::array<char, 512> line{};
  std::va_list values;
  va_start(values, form);
  std::vsnprintf(line.data(), line.size(), form, values);
  va_end(values);
  return line.data();
}

double since_start(const Story& story, std::uint64_t ns) {
  const std::uint64_t start = story.steps().empty() ? 0 : story.steps().front().time_ns;
  return static_cast<double>(ns - start) / 1e6;
}

std::string number_of(const Story::Block& block) { return "#" + std::to_string(block.identity); }

// What happened to blocks in this step.
std::string changes(const Story& story, std::uint64_t number) {
  std::string text;
  for (const Story::Block& block : story.blocks()) {
    if (block.made == number) {
      text += format("%*sblock %s of %zu bytes is made (%s)\n", 38, "", number_of(block).c_str(),
                     block.size, block.maker.c_str());
    }
    for (const Story::Tenure& tenure : block.owners) {
      if (tenure.from != number || (tenure.from == block.made && tenure.owner == "the server"))
        continue;
      text += format("%*sblock %s now belongs to %s\n", 38, "", number_of(block).c_str(),
                     tenure.owner.c_str());
    }
    if (block.freed == number) {
      text += format("%*sblock %s is freed\n", 38, "", number_of(block).c_str());
    }
  }
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string frames(const std::vector<std::string>& stack) {
  std::string text;
  for (const std::string& frame : stack) text += "    " + frame + "\n";
  return text;
}

std::string in_step(std::uint64_t step) { return "step " + std::to_string(step) + ": "; }

std::string called_by(const std::vector<std::string>& stack) {
  std::string text;
  for (const std::string& frame : stack) text += (text.empty() ? " by " : ", called by ") + frame;
  return text;
}

// Made, lent, handed back, freed or never freed.
std::vector<std::string> life_of(const Story::Block& block, const Verdict& verdict) {
  std::vector<std::string> life{in_step(block.made) + "made (" + block.maker + ")" +
                                called_by(block.stack)};
  for (const Story::Tenure& tenure : block.owners) {
    if (tenure.from == block.made && tenure.owner == "the server") continue;
    const bool back = tenure.owner == "the server";
    life.push_back(in_step(tenure.from) +
                   (back ? "handed back to the server" : "lent to " + tenure.owner));
  }
  life.push_back(
      block.freed == Story::still_live
          ? (verdict.broken == Oracle::ledger ? "never freed" : "in use when the run ended")
          : in_step(block.freed) + "freed" + called_by(block.freed_by));
  return life;
}

// "x 47", or of several steps together "these 3 x 47".
std::string again(const Story::Step& step) {
  if (step.times < 2) return "";
  const std::string times = " x " + std::to_string(step.times);
  return step.group < 2 ? times : "  (these " + std::to_string(step.group) + times + ")";
}

std::string ending(const Story& story) {
  const Verdict& verdict = story.verdict();
  if (verdict.ok() && verdict.message.empty()) return "\nNothing was found.\n";
  std::string text =
      "\nBROKEN, in step " + std::to_string(verdict.step) + ": " + verdict.message + "\n";
  if (!verdict.ok()) {
    text += std::string("  oracle ") + name_of(verdict.broken) + ": " + meaning_of(verdict.broken) +
            "\n";
  }
  if (!verdict.rule.empty()) text += "  rule " + verdict.rule + " of docs/libuv-rules.md\n";
  for (const std::string& line : lines_of(story.evidence())) text += "  " + line + "\n";
  if (!story.callers().empty())
    text += "  where the program went wrong:\n" + frames(story.callers());
  std::size_t told = 0;
  for (const Story::Block& block : story.blocks()) {
    const bool named = story.culprit() == &block;
    const bool leaked = story.culprit() == nullptr && verdict.broken == Oracle::ledger &&
                        block.freed == Story::still_live;
    if ((!named && !leaked) || ++told > 4) continue;
    text += "\n  block " + number_of(block) + " of " + std::to_string(block.size) + " bytes\n";
    for (const std::string& line : life_of(block, verdict)) text += "    " + line + "\n";
  }
  return text;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    // A closing tag must not end the page that this may stand in.
    if (c == '<') {
      out += "\\u003c";
    } else if (static_cast<unsigned char>(c) < ' ') {
      out += ' ';
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string json_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out == "[" ? "" : ",") + quoted(text);
  return out + "]";
}

std::string json_of(const Story::Block& block, bool culprit, const Verdict& verdict) {
  std::string out =
      "{\"id\":" + std::to_string(block.identity) + ",\"size\":" + std::to_string(block.size) +
      ",\"made\":" + std::to_string(block.made) +
      ",\"freed\":" + (block.freed == Story::still_live ? "null" : std::to_string(block.freed)) +
      ",\"maker\":" + quoted(block.maker) + ",\"culprit\":" + (culprit ? "true" : "false") +
      ",\"stack\":" + json_of(block.stack) + ",\"life\":" + json_of(life_of(block, verdict)) +
      ",\"owners\":[";
  for (const Story::Tenure& tenure : block.owners) {
    out += std::string(out.back() == '[' ? "" : ",") + "{\"from\":" + std::to_string(tenure.from) +
           ",\"owner\":" + quoted(tenure.owner) + "}";
  }
  return out + "]}";
}

}  // namespace

std::string story_text(const Story& story) {
  std::string text = format("%s, in %zu steps\n\n  step    time/ms  %-11s what\n",
                            story.subject().c_str(), story.steps().size(), "who acts");
  const std::vector<Story::Step>& steps = story.steps();
  for (const Story::Step& step : steps) {
    if (step.folded) continue;
    text += format("%c%5" PRIu64 " %10.3f  %-11s %*s%s%s%s%s\n", step.broken ? '>' : ' ', step.step,
                   since_start(story, step.time_ns), name_of(step.lane), 2 * step.depth, "",
                   step.who.c_str(), step.who.empty() ? "" : ": ", step.words.c_str(),
                   again(step).c_str());
    text += changes(story, step.step);
  }
  return text + ending(story);
}

std::string story_json(const Story& story) {
  const Verdict& verdict = story.verdict();
  std::string out =
      "{\"subject\":" + quoted(story.subject()) +
      ",\n\"verdict\":{\"oracle\":" + quoted(name_of(verdict.broken)) +
      ",\"meaning\":" + quoted(meaning_of(verdict.broken)) + ",\"rule\":" + quoted(verdict.rule) +
      ",\"message\":" + quoted(verdict.message) + ",\"step\":" + std::to_string(verdict.step) +
      ",\"hash\":" + quoted(format("%016" PRIx64, verdict.trace_hash)) + "},\n\"steps\":[";
  for (const Story::Step& step : story.steps()) {
    out += out.back() == '[' ? "\n" : ",\n";
    out += "{\"step\":" + std::to_string(step.step) +
           ",\"ms\":" + format("%.3f", since_start(story, step.time_ns)) + ",\"lane\":\"" +
           name_of(step.lane) + "\",\"depth\":" + std::to_string(step.depth) +
           ",\"client\":" + std::to_string(step.client) +
           ",\"unkind\":" + (step.unkind ? "true" : "false") + ",\"again\":" + quoted(again(step)) +
           ",\"folded\":" + (step.folded ? "true" : "false") +
           ",\"broken\":" + (step.broken ? "true" : "false") + ",\"who\":" + quoted(step.who) +
           ",\"words\":" + quoted(step.words) + "}";
  }
  out += "],\n\"client\":" + std::to_string(story.client()) +
         ",\"callers\":" + json_of(story.callers()) +
         ",\"evidence\":" + json_of(lines_of(story.evidence())) + ",\n\"blocks\":[";
  for (const Story::Block& block : story.blocks()) {
    out += out.back() == '[' ? "\n" : ",\n";
    out += json_of(block, story.culprit() == &block, verdict);
  }
  return out + "]}\n";
}

}  // namespace harness
