// Prints what the two validators find in each state machine named as an argument: a list for each file.
import { readFileSync } from "node:fs";
import validator from "asl-validator";
import service from "amazon-states-language-service";
import { TextDocument } from "vscode-languageserver-textdocument";

const language = service.getLanguageService({});
const found = {};
for (const path of process.argv.slice(2)) {
  const text = readFileSync(path, "utf8");
  const document = TextDocument.create(`file://${path}`, "asl", 1, text);
  const told = await language.doValidation(document, language.parseJSONDocument(document));
  const others = await validator(JSON.parse(text));
  found[path] = {
    aws: told.map((one) => one.message),
    others: others.errors.map((one) => `${one["Error code"]} ${one.Message ?? one.path ?? ""}`),
  };
}
console.log(JSON.stringify(found));
