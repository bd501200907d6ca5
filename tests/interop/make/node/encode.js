// Writes every event of cases.json with avsc.
const avro = require('avsc');
const fs = require('fs');

for (const each of JSON.parse(fs.readFileSync(process.argv[2]))) {
  // Unions are always wrapped, as in Avro's JSON encoding. Logical types stay in their stored form.
  const type = avro.Type.forSchema(each.schema, {wrapUnions: true});
  each.events.forEach((found, number) => {
    try {
      const event = type.fromString(JSON.stringify(found.event));
      console.log(JSON.stringify({case: each.name, event: number, hex: type.toBuffer(event).toString('hex')}));
    } catch (error) {
      console.error(`${each.name} ${number}: ${error.message}`);
    }
  });
}
